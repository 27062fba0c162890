"""Fused multiply-add of float32, correctly rounded, where numpy has none.

Takes: float32 arrays. Promises: a * b + c with one rounding to nearest even, subnormal results included. The
product of two binary32 numbers is exact in binary64, so that only the sum is rounded before it is narrowed; two
roundings differ from one just where the binary64 sum lies half-way between two binary32 numbers. There the sum is
rounded to odd instead (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 1 << 14
LEAST_NORMAL = 2.0**-126
DROPPED_BITS = np.int64(2**29 - 1)
HALF = np.int64(2**28)


@np.errstate(all="ignore")
def fma32(a: Array, b: Array, c: Array) -> Array:
    """a * b + c, broadcast, rounded once; long arrays in blocks, so that the float64 temporaries stay in cache."""
    shape = np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(c))
    size = prod(shape)
    if size <= BLOCK:
        return fma_block(a, b, c)
    flat = [part if np.size(part) == 1 else np.broadcast_to(part, shape).reshape(-1) for part in (a, b, c)]
    result = np.empty(size, np.float32)
    for start in range(0, size, BLOCK):
        cut = slice(start, start + BLOCK)
        result[cut] = fma_block(*(part if np.size(part) == 1 else part[cut] for part in flat))
    return result.reshape(shape)


def fma_block(a: Array, b: Array, c: Array) -> Array:
    """a * b + c of arrays that fit the cache."""
    product = np.asarray(wide(a) * wide(b))
    addend = wide(c)
    total = np.asarray(product + addend)
    result = np.asarray(total.astype(np.float32))
    doubtful = possible_tie(total)
    if doubtful.any():
        products, addends = (np.broadcast_to(part, total.shape)[doubtful] for part in (product, addend))
        result[doubtful] = sum_to_odd(products, addends).astype(np.float32)
    return result


def wide(a: Array) -> Array:
    """`a` in float64."""
    return np.asarray(a).astype(np.float64)


def possible_tie(total: Array) -> Array:
    """Where narrowing a float64 sum may round a second time: half-way bits, or a subnormal result."""
    doubtful: Array = (total.view(np.int64) & DROPPED_BITS) == HALF
    small = np.abs(total) < LEAST_NORMAL
    if small.any():
        doubtful |= small & (total != 0)
    return doubtful


def sum_to_odd(a: Array, b: Array) -> Array:
    """a + b in float64, rounded to odd: an inexact sum gets the neighbour of the exact one whose last bit is 1."""
    total = a + b
    error = error_of_sum(a, b, total)
    pattern = total.view(np.int64)
    away = np.where((error > 0) == (total > 0), 1, -1)
    return np.where((error != 0) & (pattern & 1 == 0), pattern + away, pattern).view(np.float64)


def error_of_sum(a: Array, b: Array, total: Array) -> Array:
    """(a + b) - total, exact (Knuth's TwoSum)."""
    part = total - a
    error: Array = (a - (total - part)) + (b - part)
    return error
