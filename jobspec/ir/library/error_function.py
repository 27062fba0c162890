"""erf, the Gauss error function.

Takes: f32. Promises: within 1 ulp for every input, odd to the last bit, erf(-0) = -0.
Method: small arguments by an odd polynomial; larger ones by 1 - exp(-(x + x q(x))), x + x q(x) a fit of -ln(erfc(x)).
"""

from __future__ import annotations

from jobspec.ir.library.coefficients import ERF_LARGE, ERF_SMALL
from jobspec.ir.library.exponential import growth
from jobspec.ir.library.polynomial import horner, sign_of, with_sign
from jobspec.ir.library.protocol import Scalars, V

CROSSOVER = 0.921875
SATURATED = 3.9375  # erf of it rounds to 1


def erf(b: Scalars[V], x: V) -> V:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    a = b.abs(x)
    y = b.select(b.lt(a, b.f32(CROSSOVER)), below(b, a), above(b, a))
    return with_sign(b, y, sign_of(b, x))


def below(b: Scalars[V], a: V) -> V:
    """For 0 <= a < 0.921875."""
    return b.fma(horner(b, ERF_SMALL, b.mul(a, a)), a, a)


def above(b: Scalars[V], a: V) -> V:
    """For a >= 0.921875, and NaN."""
    c = b.min(b.f32(SATURATED), a)
    exponent = b.neg(b.fma(horner(b, ERF_LARGE, c), c, c))
    s, p = growth(b, exponent)
    return b.fma(b.neg(s), p, b.sub(b.f32(1.0), s))
