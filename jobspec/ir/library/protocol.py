"""The scalar operations that library functions are written in.

Takes: nothing; it is the face an evaluator shows (numpy arrays, LLVM values, C text). Promises: every method
is one primitive of the contract `jobspec.f32.v1` (docs/numerics.md, clause 2), so a function written against it
has the same bits in every evaluator. A value is f32, u32, i32 or bool; both operands of an operation have one type.
There is no control flow, no float64 and no 64-bit integer: any device can follow.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

V = TypeVar("V")


class Scalars(Protocol[V]):
    """An evaluator of primitives over opaque values `V` (an array, an SSA name, a piece of text)."""

    def f32(self, value: float) -> V:
        """Constant; `value` is exactly representable in binary32; a nan is 0x7FC00000."""
        ...

    def u32(self, value: int) -> V: ...

    def i32(self, value: int) -> V: ...

    def add(self, a: V, b: V) -> V:
        """f32, round to nearest even, as all arithmetic here; subnormals are kept."""
        ...

    def sub(self, a: V, b: V) -> V: ...

    def mul(self, a: V, b: V) -> V: ...

    def div(self, a: V, b: V) -> V: ...

    def fma(self, a: V, b: V, c: V) -> V:
        """a * b + c with one rounding."""
        ...

    def neg(self, a: V) -> V:
        """Flips the sign bit, of a NaN too."""
        ...

    def abs(self, a: V) -> V:
        """Clears the sign bit, of a NaN too."""
        ...

    def sqrt(self, a: V) -> V: ...

    def max(self, a: V, b: V) -> V:
        """a > b ? a : b; so `b` where either is NaN or both are zero."""
        ...

    def min(self, a: V, b: V) -> V:
        """a < b ? a : b; so `b` where either is NaN or both are zero."""
        ...

    def floor(self, a: V) -> V: ...

    def rint(self, a: V) -> V:
        """To the nearest integer, ties to even."""
        ...

    def lt(self, a: V, b: V) -> V:
        """f32 (false on NaN), u32 (unsigned) or i32 (signed) to bool."""
        ...

    def le(self, a: V, b: V) -> V: ...

    def eq(self, a: V, b: V) -> V: ...

    def ne(self, a: V, b: V) -> V:
        """The negation of eq: true where either operand is NaN."""
        ...

    def select(self, condition: V, a: V, b: V) -> V:
        """condition ? a : b."""
        ...

    def and_(self, a: V, b: V) -> V:
        """bool, u32 or i32, as or_, xor and not_."""
        ...

    def or_(self, a: V, b: V) -> V: ...

    def xor(self, a: V, b: V) -> V: ...

    def not_(self, a: V) -> V: ...

    def shl(self, a: V, amount: V) -> V:
        """The amount has the type of `a` and is taken modulo 32."""
        ...

    def shr(self, a: V, amount: V) -> V:
        """Logical on u32, arithmetic on i32; the amount is taken modulo 32."""
        ...

    def iadd(self, a: V, b: V) -> V:
        """u32 or i32, modulo 2^32, as isub and imul."""
        ...

    def isub(self, a: V, b: V) -> V: ...

    def imul(self, a: V, b: V) -> V: ...

    def mulhi(self, a: V, b: V) -> V:
        """u32: the high 32 bits of the 64-bit product."""
        ...

    def f32_to_i32(self, a: V) -> V:
        """Toward zero, saturating; NaN gives 0."""
        ...

    def i32_to_f32(self, a: V) -> V:
        """Round to nearest even."""
        ...

    def u32_to_f32(self, a: V) -> V:
        """Round to nearest even."""
        ...

    def bits(self, a: V) -> V:
        """f32 to u32, the same 32 bits."""
        ...

    def from_bits(self, a: V) -> V:
        """u32 to f32, the same 32 bits."""
        ...

    def u32_to_i32(self, a: V) -> V:
        """The same 32 bits."""
        ...

    def i32_to_u32(self, a: V) -> V:
        """The same 32 bits."""
        ...
