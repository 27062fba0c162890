"""pow: x to the power y.

Takes: two f32. Promises: within 2 ulp (docs/numerics.md gives what was measured) and C99's special cases:
pow(x, 0) = pow(1, y) = 1, a negative base only with an integer exponent, signed zeros and infinities.
Method: ln|x| as a float with a tail (2 atanh((m-1)/(m+1)) + e ln 2, about 2^-38 relative), times y exactly split, exp.
"""

from __future__ import annotations

import math

from jobspec.ir.library.coefficients import EXP, LN2, LN2_SHORT, LN2_TAIL, LOG2E, POW_LOG, TWO_THIRDS
from jobspec.ir.library.exponential import BIAS, HIGHEST, LOWEST, ROUNDER, scale
from jobspec.ir.library.logarithm import exponent_and_fraction
from jobspec.ir.library.polynomial import horner, sign_of, with_sign
from jobspec.ir.library.protocol import Scalars, V

LARGE = 2.0**127  # stands for an infinite exponent, so that 1^inf is 1


def power(b: Scalars[V], x: V, y: V) -> V:
    """x^y."""
    a = b.abs(x)
    high, low = logarithm_with_tail(b, a)
    high = b.select(b.eq(a, b.f32(0.0)), b.f32(-math.inf), b.select(b.lt(a, b.f32(math.inf)), high, a))
    exponent = b.min(b.f32(LARGE), b.max(b.f32(-LARGE), y))
    product = b.mul(exponent, high)
    tail = b.fma(exponent, low, b.fma(exponent, high, b.neg(product)))
    return special_cases(b, x, y, exp_with_tail(b, product, tail))


def logarithm_with_tail(b: Scalars[V], x: V) -> tuple[V, V]:
    """(h, l) with ln x = h + l, for positive finite x."""
    e, f = exponent_and_fraction(b, x)
    high, low = log1p_with_tail(b, f)
    whole = b.mul(e, b.f32(LN2_SHORT[0]))
    total = b.add(whole, high)
    rest = b.fma(e, b.f32(LN2_SHORT[1]), low)
    return total, b.add(b.add(b.sub(whole, total), high), rest)


def log1p_with_tail(b: Scalars[V], f: V) -> tuple[V, V]:
    """(h, l) with ln(1 + f) = h + l: 2s + s (s^2 (2/3 + s^2 q)), s = f / (2 + f), each product with its error."""
    s, s_low = quotient_with_tail(b, f)
    square = b.mul(s, s)
    square_low = b.fma(b.add(s, s), s_low, b.fma(s, s, b.neg(square)))
    factor, factor_low = third_with_tail(b, square)
    u = b.mul(square, factor)
    u_low = b.fma(square_low, factor, b.fma(square, factor_low, b.fma(square, factor, b.neg(u))))
    cubic = b.mul(s, u)
    cubic_low = b.fma(s, u_low, b.fma(s_low, u, b.fma(s, u, b.neg(cubic))))
    double = b.add(s, s)
    high = b.add(double, cubic)
    low = b.add(b.add(b.sub(double, high), cubic), b.add(cubic_low, b.add(s_low, s_low)))
    return high, low


def quotient_with_tail(b: Scalars[V], f: V) -> tuple[V, V]:
    """(s, l) with f / (2 + f) = s + l."""
    denominator = b.add(b.f32(2.0), f)
    denominator_low = b.sub(f, b.sub(denominator, b.f32(2.0)))
    s = b.div(f, denominator)
    minus_s = b.neg(s)
    rest = b.fma(minus_s, denominator_low, b.fma(minus_s, denominator, f))
    return s, b.div(rest, denominator)


def third_with_tail(b: Scalars[V], square: V) -> tuple[V, V]:
    """(h, l) with 2/3 + square * q(square) = h + l."""
    head, tail = (b.f32(part) for part in TWO_THIRDS)
    small = b.fma(square, horner(b, POW_LOG, square), tail)
    high = b.add(head, small)
    return high, b.add(b.sub(head, high), small)


def exp_with_tail(b: Scalars[V], x: V, tail: V) -> V:
    """e^(x + tail), as exp does it, with the tail added to the reduced argument."""
    c = b.min(b.f32(HIGHEST), b.max(b.f32(LOWEST), x))
    tail = b.select(b.eq(c, x), tail, b.f32(0.0))
    shifted = b.fma(c, b.f32(LOG2E), b.f32(ROUNDER + 2 * BIAS))
    n = b.sub(shifted, b.f32(ROUNDER + 2 * BIAS))
    r = b.add(b.fma(n, b.f32(-LN2), c), b.fma(n, b.f32(-LN2_TAIL), tail))
    y = b.fma(r, horner(b, EXP, r), b.f32(1.0))
    return scale(b, y, b.bits(shifted))


def special_cases(b: Scalars[V], x: V, y: V, magnitude: V) -> V:
    """`magnitude` = |x|^y with the sign of x^y; NaN for a negative finite base and a fraction; 1 where C99 wants 1."""
    integer = b.eq(b.floor(y), y)
    half = b.mul(y, b.f32(0.5))
    odd = b.and_(integer, b.ne(b.floor(half), half))
    signed = with_sign(b, magnitude, b.select(odd, sign_of(b, x), b.u32(0)))
    negative = b.and_(b.lt(x, b.f32(0.0)), b.lt(b.f32(-math.inf), x))
    undefined = b.and_(negative, b.not_(integer))
    one = b.or_(b.eq(y, b.f32(0.0)), b.eq(x, b.f32(1.0)))
    return b.select(one, b.f32(1.0), b.select(undefined, b.f32(math.nan), signed))
