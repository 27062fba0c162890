"""Random draws: bits, uniform and normal, one per counter.

Takes: the counter and the key (docs/numerics.md, clause 4.2 says what is in them), all u32. Promises: a draw depends
on nothing else; uniform is k 2^-24 in [0, 1); normal is finite, |normal| <= 5.77. A draw uses the first word of its
Philox block, normal the first two; the rest is left unused, so that any element can be computed alone.
"""

from __future__ import annotations

from jobspec.ir.library.coefficients import HALF_PI
from jobspec.ir.library.logarithm import log
from jobspec.ir.library.philox import philox
from jobspec.ir.library.protocol import Scalars, V
from jobspec.ir.library.trigonometric import sine_of_quadrant


def random_bits(b: Scalars[V], c0: V, c1: V, c2: V, c3: V, k0: V, k1: V) -> V:
    """A u32, every value equally likely."""
    return philox(b, (c0, c1, c2, c3), (k0, k1))[0]


def uniform(b: Scalars[V], c0: V, c1: V, c2: V, c3: V, k0: V, k1: V) -> V:
    """An f32 in [0, 1), a multiple of 2^-24."""
    word = random_bits(b, c0, c1, c2, c3, k0, k1)
    return b.mul(b.u32_to_f32(b.shr(word, b.u32(8))), b.f32(2.0**-24))


def normal(b: Scalars[V], c0: V, c1: V, c2: V, c3: V, k0: V, k1: V) -> V:
    """A standard normal f32 (Box and Muller, 1958; the cosine one of the pair)."""
    first, second, _, _ = philox(b, (c0, c1, c2, c3), (k0, k1))
    return b.mul(radius(b, first), cosine_of_turns(b, second))


def radius(b: Scalars[V], word: V) -> V:
    """sqrt(-2 ln u) with u = (top 24 bits + 1) 2^-24, so that u is in (0, 1] and the logarithm finite."""
    u = b.mul(b.u32_to_f32(b.iadd(b.shr(word, b.u32(8)), b.u32(1))), b.f32(2.0**-24))
    return b.sqrt(b.mul(b.f32(-2.0), log(b, u)))


def cosine_of_turns(b: Scalars[V], word: V) -> V:
    """cos(2 pi word 2^-32), of the top 24 bits: the nearest quadrant in integers, the rest exactly as a float."""
    quadrant = b.shr(b.iadd(word, b.u32(1 << 29)), b.u32(30))
    rest = b.shr(b.u32_to_i32(b.isub(word, b.shl(quadrant, b.u32(30)))), b.i32(8))
    first, second = (b.f32(part * 2.0**-22) for part in HALF_PI[:2])
    turn = b.i32_to_f32(rest)
    r = b.mul(turn, first)
    tail = b.fma(turn, second, b.fma(turn, first, b.neg(r)))
    return sine_of_quadrant(b, b.iadd(quadrant, b.u32(1)), r, tail)
