"""Reduction of large angles modulo pi/2 in 32-bit integers (Payne and Hanek, 1983).

Takes: finite f32 of at least 2^18. Promises: the quadrant, and the remainder as a float with a tail, within 2^-30 of it
even where the angle almost is a multiple of pi/2. A 96-bit window of 2/pi is cut out at the place that the exponent
names (all bits above it add whole turns), and multiplied by the 24-bit mantissa; the product's top 2 bits are the
quadrant, the next 62 the fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jobspec.ir.library.coefficients import HALF_PI, TWO_OVER_PI_WORDS
from jobspec.ir.library.protocol import Scalars, V

FIRST = 2.0**18
FIRST_EXPONENT = 127 + 18


def reduce_large(b: Scalars[V], a: V) -> tuple[V, V, V]:
    """(n, r, tail): a = n pi/2 + r + tail, n modulo 4 in the low bits of a u32."""
    pattern = b.bits(a)
    place = b.isub(b.shr(pattern, b.u32(23)), b.u32(FIRST_EXPONENT))
    mantissa = b.or_(b.and_(pattern, b.u32(0x7FFFFF)), b.u32(0x800000))
    high, low = product(b, mantissa, window(b, place))
    quadrant = b.shr(b.iadd(high, b.u32(1 << 29)), b.u32(30))
    r, tail = times_half_pi(b, *fraction(b, b.isub(high, b.shl(quadrant, b.u32(30))), low))
    return quadrant, r, tail


def window(b: Scalars[V], place: V) -> list[V]:
    """The 96 bits of 2/pi that start at bit `place` (0 to 127) of the table, as three u32."""
    words: Sequence[V] = [b.u32(word) for word in TWO_OVER_PI_WORDS]
    for step in (2, 1):
        far = b.ne(b.and_(place, b.u32(32 * step)), b.u32(0))
        words = [b.select(far, after, word) for word, after in zip(words, words[step:], strict=False)]
    complement = b.xor(place, b.u32(31))
    return [b.or_(b.shl(word, place), b.shr(b.shr(after, b.u32(1)), complement)) for word, after in pairwise(words)]


def product(b: Scalars[V], mantissa: V, words: Sequence[V]) -> tuple[V, V]:
    """The upper 64 of the low 96 bits of mantissa * words, as (high, low)."""
    first, second, third = words
    partial = b.imul(mantissa, second)
    low = b.iadd(partial, b.mulhi(mantissa, third))
    carry = b.select(b.lt(low, partial), b.u32(1), b.u32(0))
    high = b.iadd(b.iadd(b.imul(mantissa, first), b.mulhi(mantissa, second)), carry)
    return high, low


def fraction(b: Scalars[V], high: V, low: V) -> tuple[V, V]:
    """The signed 62-bit fraction (high in [-2^29, 2^29) as u32, low), in units of 2^-24, as float and tail.

    It is cut in pieces of 24, 24 and 14 bits, each exact as a float; the first is rounded, the second signed.
    """
    upper = b.shr(b.u32_to_i32(b.iadd(high, b.u32(32))), b.i32(6))
    middle = b.and_(b.or_(b.shl(high, b.u32(26)), b.shr(low, b.u32(6))), b.u32(0xFFFFFF00))
    whole, part = b.i32_to_f32(upper), b.i32_to_f32(b.u32_to_i32(middle))
    total = b.fma(part, b.f32(2.0**-32), whole)
    tail = b.fma(part, b.f32(2.0**-32), b.sub(whole, total))
    return total, b.fma(b.u32_to_f32(b.and_(low, b.u32(0x3FFF))), b.f32(2.0**-38), tail)


def times_half_pi(b: Scalars[V], value: V, tail: V) -> tuple[V, V]:
    """(value + tail) * 2^-24 * pi/2, as float and tail."""
    first, second = (b.f32(part * 2.0**-24) for part in HALF_PI[:2])
    r = b.mul(value, first)
    error = b.fma(value, first, b.neg(r))
    return r, b.fma(tail, first, b.fma(value, second, error))
