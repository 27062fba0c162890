"""The library's scalars as LLVM values, one or many lanes at a time.

Takes: a function builder, a width. Promises: each method of the protocol (ir/library/protocol.py) is
the instructions of that one primitive, the same bits at every width and on every target.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.values import Value, float_bits, float_value, integer, like, vector

#: dtype of the IR → element type of LLVM
ELEMENT = {"f32": "float", "i32": "i32", "u32": "i32", "bool": "i1", "u8": "i8", "u16": "i16"}


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with the element type that the IR gives it."""

    dtype: str
    value: Value


class LlvmScalars:
    """Implements `Scalars[Typed]` at `width` lanes."""

    def __init__(self, function: Function, width: int = 1) -> None:
        self.f, self.width = function, width

    def f32(self, value: float) -> Typed:
        return Typed("f32", float_value(value, self.width) if value == value else float_bits(0x7FC00000, self.width))

    def u32(self, value: int) -> Typed:
        return Typed("u32", integer(vector("i32", self.width), value))

    def i32(self, value: int) -> Typed:
        return Typed("i32", integer(vector("i32", self.width), value))

    def add(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fadd(a.value, b.value))

    def sub(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fsub(a.value, b.value))

    def mul(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fmul(a.value, b.value))

    def div(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fdiv(a.value, b.value))

    def fma(self, a: Typed, b: Typed, c: Typed) -> Typed:
        return Typed("f32", self.f.fma(a.value, b.value, c.value))

    def neg(self, a: Typed) -> Typed:
        return Typed("f32", self.f.fneg(a.value))

    def abs(self, a: Typed) -> Typed:
        return Typed("f32", self.f.fabs(a.value))

    def sqrt(self, a: Typed) -> Typed:
        return Typed("f32", self.f.sqrt(a.value))

    def max(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fmax(a.value, b.value))

    def min(self, a: Typed, b: Typed) -> Typed:
        return Typed("f32", self.f.fmin(a.value, b.value))

    def floor(self, a: Typed) -> Typed:
        return Typed("f32", self.f.floor(a.value))

    def rint(self, a: Typed) -> Typed:
        return Typed("f32", self.f.rint(a.value))

    def lt(self, a: Typed, b: Typed) -> Typed:
        return self._compare("olt", "lt", a, b)

    def le(self, a: Typed, b: Typed) -> Typed:
        return self._compare("ole", "le", a, b)

    def eq(self, a: Typed, b: Typed) -> Typed:
        if a.dtype == "f32":
            return Typed("bool", self.f.fcmp("oeq", a.value, b.value))
        return Typed("bool", self.f.icmp("eq", a.value, b.value))

    def ne(self, a: Typed, b: Typed) -> Typed:
        if a.dtype == "f32":
            return Typed("bool", self.f.fcmp("une", a.value, b.value))
        return Typed("bool", self.f.icmp("ne", a.value, b.value))

    def select(self, condition: Typed, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.select(condition.value, a.value, b.value))

    def and_(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.and_(a.value, b.value))

    def or_(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.or_(a.value, b.value))

    def xor(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.xor(a.value, b.value))

    def not_(self, a: Typed) -> Typed:
        return Typed(a.dtype, self.f.not_(a.value))

    def shl(self, a: Typed, amount: Typed) -> Typed:
        return Typed(a.dtype, self.f.shift("shl", a.value, amount.value))

    def shr(self, a: Typed, amount: Typed) -> Typed:
        return Typed(a.dtype, self.f.shift("ashr" if a.dtype == "i32" else "lshr", a.value, amount.value))

    def iadd(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.iadd(a.value, b.value))

    def isub(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.isub(a.value, b.value))

    def imul(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.imul(a.value, b.value))

    def mulhi(self, a: Typed, b: Typed) -> Typed:
        return Typed(a.dtype, self.f.umulhi(a.value, b.value))

    def f32_to_i32(self, a: Typed) -> Typed:
        return Typed("i32", self.f.fptosi(a.value))

    def i32_to_f32(self, a: Typed) -> Typed:
        return Typed("f32", self.f.convert("sitofp", a.value, like(a.value.type, "float")))

    def u32_to_f32(self, a: Typed) -> Typed:
        return Typed("f32", self.f.convert("uitofp", a.value, like(a.value.type, "float")))

    def bits(self, a: Typed) -> Typed:
        return Typed("u32", self.f.bits(a.value))

    def from_bits(self, a: Typed) -> Typed:
        return Typed("f32", self.f.floats(a.value))

    def u32_to_i32(self, a: Typed) -> Typed:
        return Typed("i32", a.value)

    def i32_to_u32(self, a: Typed) -> Typed:
        return Typed("u32", a.value)

    def _compare(self, floating: str, whole: str, a: Typed, b: Typed) -> Typed:
        if a.dtype == "f32":
            return Typed("bool", self.f.fcmp(floating, a.value, b.value))
        return Typed("bool", self.f.icmp(("s" if a.dtype == "i32" else "u") + whole, a.value, b.value))


def constant(dtype: str, bits: int, width: int) -> Value:
    """`bits` as a value of `dtype`, in every lane."""
    if dtype == "f32":
        return float_bits(bits, width)
    return integer(vector(held(dtype), width), bits)


def held(dtype: str) -> str:
    """The element type a loaded element has: storage types widen to i32."""
    return "i32" if dtype in ("u8", "u16") else ELEMENT[dtype]
