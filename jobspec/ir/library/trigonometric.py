"""sin and cos.

Takes: f32. Promises: within 1 ulp for every input; sin is odd and cos even to the last bit; infinities give NaN.
Method: |x| = n pi/2 + (r + tail), by three-part subtraction below 2^18 and by Payne and Hanek's integer product above
(payne_hanek.py); then one polynomial for sin and one for cos on |r| <= 0.8, chosen by the quadrant n.
"""

from __future__ import annotations

import math

from jobspec.ir.library.coefficients import COS, HALF_PI, SIN, TWO_OVER_PI
from jobspec.ir.library.exponential import ROUNDER
from jobspec.ir.library.payne_hanek import FIRST, reduce_large
from jobspec.ir.library.polynomial import horner, sign_of
from jobspec.ir.library.protocol import Scalars, V


def sin(b: Scalars[V], x: V) -> V:
    """Sine of an angle in radians."""
    a = b.abs(x)
    quadrant, r, tail = reduce(b, a)
    y = sine_of_quadrant(b, quadrant, r, tail)
    return finite_only(b, a, b.from_bits(b.xor(b.bits(y), sign_of(b, x))))


def cos(b: Scalars[V], x: V) -> V:
    """Cosine of an angle in radians."""
    a = b.abs(x)
    quadrant, r, tail = reduce(b, a)
    return finite_only(b, a, sine_of_quadrant(b, b.iadd(quadrant, b.u32(1)), r, tail))


def reduce(b: Scalars[V], a: V) -> tuple[V, V, V]:
    """(n, r, tail): a = n pi/2 + r + tail, n modulo 4 in the low bits of a u32; for finite a >= 0."""
    small, large = reduce_small(b, a), reduce_large(b, a)
    is_small = b.lt(a, b.f32(FIRST))
    n, r, tail = (b.select(is_small, s, t) for s, t in zip(small, large, strict=True))
    return n, r, tail


def reduce_small(b: Scalars[V], a: V) -> tuple[V, V, V]:
    """For a < 2^18: the first product is exact with its sum, the second is split in two, the third is rounded."""
    first, second, third = (b.f32(part) for part in HALF_PI)
    shifted = b.fma(a, b.f32(TWO_OVER_PI), b.f32(ROUNDER))
    n = b.sub(shifted, b.f32(ROUNDER))
    rest = b.fma(b.neg(n), first, a)
    product = b.mul(n, second)
    low = b.fma(n, third, b.fma(n, second, b.neg(product)))
    r = b.sub(rest, product)
    return b.bits(shifted), r, b.sub(b.sub(b.sub(rest, r), product), low)


def sine_of_quadrant(b: Scalars[V], quadrant: V, r: V, tail: V) -> V:
    """sin(quadrant pi/2 + r + tail) for |r| <= 0.8 and |tail| below an ulp of r."""
    square = b.fma(r, r, b.mul(b.add(r, r), tail))
    sine = b.add(b.fma(b.mul(square, r), horner(b, SIN, square), tail), r)
    cosine = b.fma(square, horner(b, COS, square), b.f32(1.0))
    odd = b.ne(b.and_(quadrant, b.u32(1)), b.u32(0))
    sign = b.shl(b.and_(quadrant, b.u32(2)), b.u32(30))
    return b.from_bits(b.xor(b.bits(b.select(odd, cosine, sine)), sign))


def finite_only(b: Scalars[V], a: V, y: V) -> V:
    """`y` where a < inf, else NaN."""
    return b.select(b.lt(a, b.f32(math.inf)), y, b.f32(math.nan))
