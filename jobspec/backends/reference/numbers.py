"""How element types are held in numpy arrays.

Takes: dtypes of the IR and bit patterns. Promises: `bool` is np.bool_, storage types keep their width (bf16 as the
patterns, in int16, which nothing else is), and a NaN leaves the evaluator with one bit pattern only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.contract import CANONICAL_NAN
from jobspec.ir.types import HALVES

Array = NDArray[Any]

NUMPY: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
    "bool": np.dtype(np.bool_),
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    HALVES: np.dtype(np.int16),
}
_UNSIGNED: dict[int, np.dtype[Any]] = {4: np.dtype(np.uint32), 2: np.dtype(np.uint16), 1: np.dtype(np.uint8)}


def from_bits(dtype: str, bits: tuple[int, ...]) -> Array:
    """One element per bit pattern, of the IR type `dtype`."""
    wanted = NUMPY[dtype]
    patterns: Array = np.asarray(bits, _UNSIGNED[wanted.itemsize])
    return patterns.view(wanted)


def canonical(x: Array) -> Array:
    """`x` with every NaN given the contract's bits; other types are returned as they are."""
    if x.dtype != np.float32:
        return x
    quiet = np.uint32(CANONICAL_NAN).view(np.float32)
    return np.where(np.isnan(x), quiet, x)


def widened(patterns: Array) -> Array:
    """The f32 numbers whose upper halves these are."""
    return (patterns.astype(np.int32) << 16).view(np.float32)


def halved(x: Array) -> Array:
    """The upper halves of f32 numbers."""
    patterns: Array = (x.view(np.int32) >> 16).astype(np.int16)
    return patterns
