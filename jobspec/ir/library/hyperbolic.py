"""tanh.

Takes: f32. Promises: within 1 ulp for every input, odd to the last bit, tanh(-0) = -0.
Method: below 1 an odd polynomial; above it 1 - 2 / (e^2|x| + 1), where the quotient is at most 0.24.
"""

from __future__ import annotations

from jobspec.ir.library.coefficients import TANH
from jobspec.ir.library.exponential import growth
from jobspec.ir.library.polynomial import horner, sign_of, with_sign
from jobspec.ir.library.protocol import Scalars, V

CROSSOVER = 1.0
SATURATED = 9.125  # tanh of it rounds to 1


def tanh(b: Scalars[V], x: V) -> V:
    """Hyperbolic tangent."""
    a = b.abs(x)
    y = b.select(b.lt(a, b.f32(CROSSOVER)), below(b, a), above(b, a))
    return with_sign(b, y, sign_of(b, x))


def below(b: Scalars[V], a: V) -> V:
    """For 0 <= a < 1."""
    square = b.mul(a, a)
    return b.fma(b.mul(square, a), horner(b, TANH, square), a)


def above(b: Scalars[V], a: V) -> V:
    """For a >= 1, and NaN."""
    c = b.min(b.f32(SATURATED), a)
    s, p = growth(b, b.add(c, c))
    denominator = b.fma(s, p, b.add(s, b.f32(1.0)))
    return b.sub(b.f32(1.0), b.div(b.f32(2.0), denominator))
