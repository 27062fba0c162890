"""Numbers that tell a right primitive from a wrong one.

Promises: the same on every machine, made by formulas; among them signed zeros, subnormals, infinities, NaNs of several
payloads, products that lie between two numbers, and integers at every border.
"""

from __future__ import annotations

import numpy as np

from jobspec.backends.reference.numbers import Array

COUNT = 4096
SPECIAL = (0x0, 0x1, 0x7FFFFF, 0x800000, 0x3F800000, 0x3F800001, 0x4B800000, 0x4F000000, 0x7F7FFFFF, 0x7F800000)
NANS = (0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x7FA00000)


def spread(multiplier: int) -> Array:
    """COUNT u32 over all patterns: k * multiplier modulo 2^32, `multiplier` odd."""
    return np.arange(1, COUNT + 1, dtype=np.uint32) * np.uint32(multiplier)


def special() -> Array:
    bits = np.array([*SPECIAL, *NANS], np.uint32)
    return np.concatenate([bits, bits | np.uint32(0x80000000)]).view(np.float32)


def any_bits() -> Array:
    """f32 of every kind: all special ones, then spread patterns."""
    return np.concatenate([special(), spread(0x9E3779B1).view(np.float32)])


def moderate(multiplier: int) -> Array:
    """f32 of both signs between 2^-16 and 2^16, all bits of their fractions used."""
    word = spread(multiplier)
    exponent = np.uint32(0x37800000) + (word >> np.uint32(25) & np.uint32(15)) * np.uint32(0x01000000)
    return ((word & np.uint32(0x80FFFFFF)) + exponent).view(np.float32)


def pairs() -> tuple[Array, Array]:
    """Every special value against every one, then spread patterns against others."""
    x = special()
    other = spread(0x85EBCA77).view(np.float32)
    return (
        np.concatenate([x.repeat(x.size), spread(0x9E3779B1).view(np.float32), moderate(0x9E3779B1)]),
        np.concatenate([np.tile(x, x.size), other, moderate(0x85EBCA77)]),
    )


def halves() -> tuple[Array, Array, Array]:
    """a, b, c such that a * b lies halfway between two numbers and c, far smaller, decides; and such that a * b + c
    cancels all but what rounding a * b would lose."""
    k = np.arange(COUNT, dtype=np.int64)
    a = (2049 + k * 2 % 3742).astype(np.float32)
    near = (1 << 24) // a.astype(np.int64) + k % 64 * 2
    b = (near + (near % 2 == 0)).astype(np.float32)
    small = np.where(k % 2 == 0, 1.0, -1.0) * np.exp2(-(k % 149).astype(np.float64))
    cancel = -(a * b)
    return np.tile(a, 2), np.tile(b, 2), np.concatenate([small.astype(np.float32), cancel.astype(np.float32)])


def noisy(size: int, seed: int = 1) -> Array:
    """f32 of both signs whose sum shows the order it was taken in."""
    k = np.arange(size, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B9)
    word = (k * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)
    exponent = (word >> np.uint32(25) & np.uint32(7)) + np.uint32(124) << np.uint32(23)
    return (word & np.uint32(0x807FFFFF) | exponent).view(np.float32)
