"""Floor modulo of whole numbers.

Takes: i32 x and y. Promises: x - y*floor(x/y) in exact arithmetic, so the result has the sign of y; 0 where y is 0. The
quotient is estimated from below in f32, twice; each estimate is short by less than one part in 2^18 and one, so what
is left after both is at most y + 1 and two conditional subtractions finish it.
"""

from __future__ import annotations

from jobspec.ir.library.protocol import Scalars, V

#: brings a quotient with four roundings below the true one
SHORT = 1.0 - 2.0**-20


def modulo(b: Scalars[V], x: V, y: V) -> V:
    """x mod y, i32."""
    zero = b.i32(0)
    low, high = b.lt(x, zero), b.lt(y, zero)
    size = magnitude(b, y, high)
    rest = remainder(b, magnitude(b, x, low), size)
    turned = b.and_(b.xor(low, high), b.ne(rest, b.u32(0)))
    found = b.u32_to_i32(b.select(turned, b.isub(size, rest), rest))
    return b.select(b.eq(y, zero), zero, b.select(high, b.isub(zero, found), found))


def magnitude(b: Scalars[V], x: V, negative: V) -> V:
    """|x| as u32."""
    return b.i32_to_u32(b.select(negative, b.isub(b.i32(0), x), x))


def remainder(b: Scalars[V], n: V, d: V) -> V:
    """n mod d, u32 up to 2^31."""
    for _ in range(2):
        n = b.isub(n, b.imul(quotient(b, n, d), d))
    for _ in range(2):
        n = b.select(b.le(d, n), b.isub(n, d), n)
    return n


def quotient(b: Scalars[V], n: V, d: V) -> V:
    """Not above n/d, and hardly below."""
    share = b.mul(b.div(b.u32_to_f32(n), b.u32_to_f32(d)), b.f32(SHORT))
    return b.i32_to_u32(b.f32_to_i32(share))
