"""Polynomials and sign bits, shared by the function families.

Takes: an evaluator and values. Promises: `horner` is one fma per coefficient after the first, highest power first.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.library.protocol import Scalars, V

SIGN_BIT = 0x80000000


def horner(b: Scalars[V], coefficients: Sequence[float], x: V) -> V:
    """c[0] + x*(c[1] + x*(c[2] + ...)), each step one fma."""
    result = b.f32(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = b.fma(result, x, b.f32(coefficient))
    return result


def sign_of(b: Scalars[V], x: V) -> V:
    """The sign bit of `x`, as u32."""
    return b.and_(b.bits(x), b.u32(SIGN_BIT))


def with_sign(b: Scalars[V], magnitude: V, sign: V) -> V:
    """`magnitude` (sign bit clear) with the sign bit `sign`."""
    return b.from_bits(b.or_(b.bits(magnitude), sign))
