"""Inputs that the numerics tests share: bit patterns, special values, streams of random numbers.

Promises: the same arrays on every machine; each function says what its sample reaches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]

SPECIAL_BITS = (
    0x00000000, 0x00000001, 0x00000002, 0x007FFFFF, 0x00800000, 0x00800001, 0x33000000, 0x3F000000, 0x3F3504F3,
    0x3F3504F4, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x40000000, 0x42B17217, 0x42B17218, 0x42CE8ED0, 0x42CFF1B5,
    0x487FFFFF, 0x48800000, 0x4B000000, 0x4B800000, 0x5C87BCD0, 0x5C07BCD0, 0x50153C0F, 0x7F000000, 0x7F7FFFFF,
    0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF,
)  # fmt: skip
"""Zeros, subnormals, ones, thresholds of the functions, hard cases of large angles, infinities, NaNs."""


def floats(bits: NDArray[np.integer]) -> F32:
    return bits.astype(np.uint32).view(np.float32)


def special_values() -> F32:
    """The special patterns with both signs."""
    positive = np.array(SPECIAL_BITS, np.uint32)
    return floats(np.concatenate([positive, positive | np.uint32(0x80000000)]))


def stratified(per_binade: int = 2048) -> F32:
    """Every sign and exponent, `per_binade` mantissas spread over each (2048: 2^20 values), and the special ones."""
    upper = np.arange(512, dtype=np.uint64)[:, None] << 23
    step = 2**23 // per_binade
    offsets = np.arange(per_binade, dtype=np.uint64) * step
    jitter = (offsets * 2654435761 + upper * 40503) % step
    return np.concatenate([special_values(), floats((upper | (offsets + jitter)).ravel())])


def words(count: int, seed: int = 0) -> U32:
    """Random u32, from numpy's Philox: pinned by its definition."""
    return np.random.Generator(np.random.Philox(key=seed)).integers(0, 2**32, count, np.uint32)


def canonical(values: NDArray[np.generic]) -> U32:
    """Bits of f32 or u32 results, with every NaN 0x7FC00000, as a store leaves them."""
    if values.dtype != np.float32:
        return values.astype(np.uint32)
    return np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))
