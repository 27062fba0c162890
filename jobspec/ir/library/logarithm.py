"""log, the natural logarithm.

Takes: f32. Promises: within 1 ulp for every input; log(0) = -inf, log(<0) = NaN, log(inf) = inf.
Method: x = 2^e m with m in [sqrt(1/2), sqrt(2)), log x = e ln 2 + log1p(m - 1), the last by a polynomial.
"""

from __future__ import annotations

import math

from jobspec.ir.library.coefficients import LN2, LN2_TAIL, LOG
from jobspec.ir.library.polynomial import horner
from jobspec.ir.library.protocol import Scalars, V

SMALLEST_NORMAL = 2.0**-126
ROOT_HALF = 0x3F3504F3  # bits of sqrt(1/2)
MANTISSA = 0x007FFFFF


def log(b: Scalars[V], x: V) -> V:
    """ln x."""
    e, f = exponent_and_fraction(b, x)
    f2 = b.mul(f, f)
    tail = b.fma(f2, horner(b, LOG, f), b.mul(e, b.f32(LN2_TAIL)))
    return special_cases(b, x, b.fma(e, b.f32(LN2), b.add(tail, f)))


def exponent_and_fraction(b: Scalars[V], x: V) -> tuple[V, V]:
    """(e, f) in f32 with x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); for positive finite x."""
    tiny = b.lt(x, b.f32(SMALLEST_NORMAL))
    pattern = b.bits(b.select(tiny, b.mul(x, b.f32(2.0**23)), x))
    above = b.isub(pattern, b.select(tiny, b.u32(ROOT_HALF + (23 << 23)), b.u32(ROOT_HALF)))
    e = b.i32_to_f32(b.shr(b.u32_to_i32(above), b.i32(23)))
    m = b.from_bits(b.iadd(b.and_(above, b.u32(MANTISSA)), b.u32(ROOT_HALF)))
    return e, b.sub(m, b.f32(1.0))


def special_cases(b: Scalars[V], x: V, y: V) -> V:
    """`y` for positive finite x; else what a logarithm is there."""
    finite = b.select(b.lt(x, b.f32(math.inf)), y, x)
    outside = b.select(b.eq(x, b.f32(0.0)), b.f32(-math.inf), b.f32(math.nan))
    return b.select(b.le(x, b.f32(0.0)), outside, finite)
