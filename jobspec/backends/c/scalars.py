"""The library's scalars as C text.

Takes: a writer. Promises: each method of the protocol (ir/library/protocol.py) is one statement that calls the
dialect's name for that one primitive (opencl.h, cuda.h); nothing is left to a compiler's
liberties but what those names allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobspec.backends.c.writer import Writer

#: dtype of the IR → C type of a value held in a register
HELD = {"f32": "float", "i32": "int", "u32": "uint", "bool": "bool", "u8": "int", "u16": "int"}


@dataclass(frozen=True, slots=True)
class Typed:
    """A C expression without side effects, with the element type that the IR gives it."""

    dtype: str
    text: str
    lanes: int = 1


class CScalars:
    """Implements `Scalars[Typed]`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def f32(self, value: float) -> Typed:
        bits = 0x7FC00000 if value != value else int(np.float32(value).view(np.uint32))
        return constant("f32", bits)

    def u32(self, value: int) -> Typed:
        return constant("u32", value)

    def i32(self, value: int) -> Typed:
        return constant("i32", value)

    def add(self, a: Typed, b: Typed) -> Typed:
        return self._call("f32", "f_add", a, b)

    def sub(self, a: Typed, b: Typed) -> Typed:
        return self._call("f32", "f_sub", a, b)

    def mul(self, a: Typed, b: Typed) -> Typed:
        return self._call("f32", "f_mul", a, b)

    def div(self, a: Typed, b: Typed) -> Typed:
        return self._call("f32", "f_div", a, b)

    def fma(self, a: Typed, b: Typed, c: Typed) -> Typed:
        return self._call("f32", "f_fma", a, b, c)

    def neg(self, a: Typed) -> Typed:
        return self._let("f32", f"to_float(to_bits({a.text}) ^ 0x80000000u)")

    def abs(self, a: Typed) -> Typed:
        return self._let("f32", f"to_float(to_bits({a.text}) & 0x7fffffffu)")

    def sqrt(self, a: Typed) -> Typed:
        return self._call("f32", "f_sqrt", a)

    def max(self, a: Typed, b: Typed) -> Typed:
        return self._let("f32", f"{a.text} > {b.text} ? {a.text} : {b.text}")

    def min(self, a: Typed, b: Typed) -> Typed:
        return self._let("f32", f"{a.text} < {b.text} ? {a.text} : {b.text}")

    def floor(self, a: Typed) -> Typed:
        return self._call("f32", "f_floor", a)

    def rint(self, a: Typed) -> Typed:
        return self._call("f32", "f_rint", a)

    def lt(self, a: Typed, b: Typed) -> Typed:
        return self._let("bool", f"{a.text} < {b.text}")

    def le(self, a: Typed, b: Typed) -> Typed:
        return self._let("bool", f"{a.text} <= {b.text}")

    def eq(self, a: Typed, b: Typed) -> Typed:
        return self._let("bool", f"{a.text} == {b.text}")

    def ne(self, a: Typed, b: Typed) -> Typed:
        return self._let("bool", f"{a.text} != {b.text}")

    def select(self, condition: Typed, a: Typed, b: Typed) -> Typed:
        return self._let(a.dtype, f"{condition.text} ? {a.text} : {b.text}")

    def and_(self, a: Typed, b: Typed) -> Typed:
        return self._let(a.dtype, f"{a.text} & {b.text}")

    def or_(self, a: Typed, b: Typed) -> Typed:
        return self._let(a.dtype, f"{a.text} | {b.text}")

    def xor(self, a: Typed, b: Typed) -> Typed:
        return self._let(a.dtype, f"{a.text} ^ {b.text}")

    def not_(self, a: Typed) -> Typed:
        return self._let(a.dtype, f"{'!' if a.dtype == 'bool' else '~'}{a.text}")

    def shl(self, a: Typed, amount: Typed) -> Typed:
        return self._let(a.dtype, f"({HELD[a.dtype]})((uint){a.text} << ({amount.text} & 31))")

    def shr(self, a: Typed, amount: Typed) -> Typed:
        return self._let(a.dtype, f"{a.text} >> ({amount.text} & 31)")

    def iadd(self, a: Typed, b: Typed) -> Typed:
        return self._wrapped(a, "+", b)

    def isub(self, a: Typed, b: Typed) -> Typed:
        return self._wrapped(a, "-", b)

    def imul(self, a: Typed, b: Typed) -> Typed:
        return self._wrapped(a, "*", b)

    def mulhi(self, a: Typed, b: Typed) -> Typed:
        return self._call(a.dtype, "u_mulhi", a, b)

    def f32_to_i32(self, a: Typed) -> Typed:
        return self._call("i32", "f_to_int", a)

    def i32_to_f32(self, a: Typed) -> Typed:
        return self._call("f32", "int_to_f", a)

    def u32_to_f32(self, a: Typed) -> Typed:
        return self._call("f32", "uint_to_f", a)

    def bits(self, a: Typed) -> Typed:
        return self._call("u32", "to_bits", a)

    def from_bits(self, a: Typed) -> Typed:
        return self._call("f32", "to_float", a)

    def u32_to_i32(self, a: Typed) -> Typed:
        return self._let("i32", f"(int){a.text}")

    def i32_to_u32(self, a: Typed) -> Typed:
        return self._let("u32", f"(uint){a.text}")

    def _wrapped(self, a: Typed, sign: str, b: Typed) -> Typed:
        """Modulo 2^32; the signed sum would be undefined where it overflows."""
        return self._let(a.dtype, f"({HELD[a.dtype]})((uint){a.text} {sign} (uint){b.text})")

    def _call(self, dtype: str, function: str, *args: Typed) -> Typed:
        return self._let(dtype, f"{function}({', '.join(a.text for a in args)})")

    def _let(self, dtype: str, text: str) -> Typed:
        return Typed(dtype, self._writer.let(HELD[dtype], text))


def constant(dtype: str, bits: int) -> Typed:
    """`bits` as a value of `dtype`."""
    word = f"0x{bits & 0xFFFFFFFF:08x}u"
    if dtype == "f32":
        return Typed(dtype, f"to_float({word})")
    if dtype == "bool":
        return Typed(dtype, "true" if bits else "false")
    return Typed(dtype, word if dtype == "u32" else f"(int){word}")
