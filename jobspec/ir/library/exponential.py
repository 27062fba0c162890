"""exp, and the pieces that tanh and erf share with it.

Takes: f32. Promises: exp within 1 ulp for every input, subnormal results and overflow included.
Method: n = rint(x / ln 2) by adding 1.5 * 2^23, r = x - n ln 2 (Cody and Waite, two parts), exp(x) = 2^n (1 + r g(r)).
"""

from __future__ import annotations

from jobspec.ir.library.coefficients import EXP, LN2, LN2_TAIL, LOG2E
from jobspec.ir.library.polynomial import horner
from jobspec.ir.library.protocol import Scalars, V

ROUNDER = 1.5 * 2.0**23  # adding it leaves an integer in the low bits of the float's pattern
BIAS = 127
LOWEST = -104.0  # exp of it rounds to 0
HIGHEST = 89.0  # exp of it overflows


def exp(b: Scalars[V], x: V) -> V:
    """e^x."""
    x = b.min(b.f32(HIGHEST), b.max(b.f32(LOWEST), x))
    shifted = b.fma(x, b.f32(LOG2E), b.f32(ROUNDER + 2 * BIAS))
    n = b.sub(shifted, b.f32(ROUNDER + 2 * BIAS))
    r = b.fma(n, b.f32(-LN2_TAIL), b.fma(n, b.f32(-LN2), x))
    y = b.fma(r, horner(b, EXP, r), b.f32(1.0))
    return scale(b, y, b.bits(shifted))


def scale(b: Scalars[V], y: V, exponent: V) -> V:
    """y * 2^n with one rounding, for n in [-150, 128]; the low 9 bits of `exponent` (u32) hold n + 254."""
    half = b.shr(exponent, b.u32(1))
    rest = b.isub(exponent, half)
    return b.mul(b.mul(y, power_of_two(b, half)), power_of_two(b, rest))


def power_of_two(b: Scalars[V], biased: V) -> V:
    """2^(k - 127) where the low 9 bits of `biased` (u32) hold k in [1, 254]; the higher bits do not matter."""
    return b.from_bits(b.shl(biased, b.u32(23)))


def growth(b: Scalars[V], x: V) -> tuple[V, V]:
    """(s, p) with e^x = s + s p, s a power of two, |p| < 0.42; for |x| < 80.

    ln 2 is taken in one part: the error is a few ulp of p, for uses that damp it.
    """
    shifted = b.fma(x, b.f32(LOG2E), b.f32(ROUNDER + BIAS))
    n = b.sub(shifted, b.f32(ROUNDER + BIAS))
    r = b.fma(n, b.f32(-LN2), x)
    return power_of_two(b, b.bits(shifted)), b.mul(r, horner(b, EXP, r))
