"""The library's primitives on numpy arrays: the meaning of every scalar operation, to the bit.

Takes: arrays (or 0-d arrays) of float32, uint32, int32 or bool. Promises: each operation is correctly rounded as
clause 2 of docs/numerics.md says, fused multiply-add included; no numpy warning; NaN bits are left as they come (a
store makes them canonical).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.rounding import fma32

Array = NDArray[Any]

quiet = np.errstate(all="ignore")
SIGN = np.uint32(0x80000000)
I32_MAX = np.int32(2**31 - 1)


def modulo_32(amount: Array) -> Array:
    """A shift amount, in its own type."""
    kept: Array = np.bitwise_and(amount, np.asarray(31, amount.dtype))
    return kept


class NumpyScalars:
    """`jobspec.ir.library.protocol.Scalars[Array]`."""

    def f32(self, value: float) -> Array:
        constant = np.asarray(value, np.float32)
        if float(constant) != value and value == value:
            raise ValueError(f"{value!r} is not a binary32 number")
        return constant

    def u32(self, value: int) -> Array:
        return np.asarray(value, np.uint32)

    def i32(self, value: int) -> Array:
        return np.asarray(value, np.int32)

    @quiet
    def add(self, a: Array, b: Array) -> Array:
        return np.add(a, b)

    @quiet
    def sub(self, a: Array, b: Array) -> Array:
        return np.subtract(a, b)

    @quiet
    def mul(self, a: Array, b: Array) -> Array:
        return np.multiply(a, b)

    @quiet
    def div(self, a: Array, b: Array) -> Array:
        return np.divide(a, b)

    def fma(self, a: Array, b: Array, c: Array) -> Array:
        return fma32(a, b, c)

    def neg(self, a: Array) -> Array:
        return self.from_bits(np.bitwise_xor(self.bits(a), SIGN))

    def abs(self, a: Array) -> Array:
        return self.from_bits(np.bitwise_and(self.bits(a), ~SIGN))

    @quiet
    def sqrt(self, a: Array) -> Array:
        return np.sqrt(a)

    @quiet
    def max(self, a: Array, b: Array) -> Array:
        return np.where(np.greater(a, b), a, b)

    @quiet
    def min(self, a: Array, b: Array) -> Array:
        return np.where(np.less(a, b), a, b)

    @quiet
    def floor(self, a: Array) -> Array:
        return np.floor(a)

    @quiet
    def rint(self, a: Array) -> Array:
        return np.rint(a)

    @quiet
    def lt(self, a: Array, b: Array) -> Array:
        return np.less(a, b)

    @quiet
    def le(self, a: Array, b: Array) -> Array:
        return np.less_equal(a, b)

    @quiet
    def eq(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)

    @quiet
    def ne(self, a: Array, b: Array) -> Array:
        return np.not_equal(a, b)

    def select(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def and_(self, a: Array, b: Array) -> Array:
        return np.bitwise_and(a, b)

    def or_(self, a: Array, b: Array) -> Array:
        return np.bitwise_or(a, b)

    def xor(self, a: Array, b: Array) -> Array:
        return np.bitwise_xor(a, b)

    def not_(self, a: Array) -> Array:
        return np.invert(a)

    def shl(self, a: Array, amount: Array) -> Array:
        return np.left_shift(a, modulo_32(amount))

    def shr(self, a: Array, amount: Array) -> Array:
        return np.right_shift(a, modulo_32(amount))

    @quiet
    def iadd(self, a: Array, b: Array) -> Array:
        return np.add(a, b)

    @quiet
    def isub(self, a: Array, b: Array) -> Array:
        return np.subtract(a, b)

    @quiet
    def imul(self, a: Array, b: Array) -> Array:
        return np.multiply(a, b)

    def mulhi(self, a: Array, b: Array) -> Array:
        return np.right_shift(np.multiply(a, b, dtype=np.uint64), np.uint64(32)).astype(np.uint32)

    @quiet
    def f32_to_i32(self, a: Array) -> Array:
        inside = np.where(np.abs(a) < 2.0**31, a, np.float32(0)).astype(np.int32)
        return np.where(a >= 2.0**31, I32_MAX, np.where(a <= -(2.0**31), ~I32_MAX, inside))

    def i32_to_f32(self, a: Array) -> Array:
        return a.astype(np.float32)

    def u32_to_f32(self, a: Array) -> Array:
        return a.astype(np.float32)

    def bits(self, a: Array) -> Array:
        return a.view(np.uint32)

    def from_bits(self, a: Array) -> Array:
        return a.view(np.float32)

    def u32_to_i32(self, a: Array) -> Array:
        return a.view(np.int32)

    def i32_to_u32(self, a: Array) -> Array:
        return a.view(np.uint32)
