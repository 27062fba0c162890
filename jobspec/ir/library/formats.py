"""Rounding to the 16-bit formats: the value that bfloat16 or binary16 would hold, as f32.

Takes: f32. Promises: nearest, ties to even, subnormals of the format kept; beyond its largest number infinity; NaN
gives 0x7FC00000. What is a number of the format already is not changed.
"""

from __future__ import annotations

from jobspec.ir.library.protocol import Scalars, V

#: the first f32 with all exponents of binary16 behind it, and the least normal number of binary16
BEYOND_F16, NORMAL_F16 = 0x47800000, 0x38800000


def bf16(b: Scalars[V], x: V) -> V:
    """8 bits of significand, the exponents of f32."""
    return b.from_bits(b.select(b.ne(x, x), b.u32(0x7FC00000), shortened(b, b.bits(x), 16)))


def f16(b: Scalars[V], x: V) -> V:
    """11 bits of significand, numbers up to 65504, subnormals down to 2^-24."""
    bits = b.bits(x)
    size = b.and_(bits, b.u32(0x7FFFFFFF))
    wide = shortened(b, size, 13)
    wide = b.select(b.le(b.u32(BEYOND_F16), wide), b.u32(0x7F800000), wide)
    # around 1/2 neighbours are 2^-24 apart, as the subnormals are: one addition rounds to them
    small = b.bits(b.sub(b.add(b.from_bits(size), b.f32(0.5)), b.f32(0.5)))
    signed = b.or_(b.select(b.lt(size, b.u32(NORMAL_F16)), small, wide), b.and_(bits, b.u32(0x80000000)))
    return b.from_bits(b.select(b.ne(x, x), b.u32(0x7FC00000), signed))


def shortened(b: Scalars[V], bits: V, count: int) -> V:
    """The last `count` bits rounded away, ties to even; a carry goes on into the exponent."""
    odd = b.and_(b.shr(bits, b.u32(count)), b.u32(1))
    nearest = b.iadd(b.iadd(bits, b.u32((1 << count - 1) - 1)), odd)
    return b.and_(nearest, b.u32(0xFFFFFFFF << count & 0xFFFFFFFF))
