"""Which example stands at which position of a run.

Takes: a stream's order and key, the number of examples, positions counted from the run's start over
all epochs. Promises: within an epoch every example comes exactly once; any position is computed by
itself, so there is no loader state to save; the result depends on nothing else.

An epoch's permutation of 0 … n-1 is a Feistel network over Z_a × Z_b with a = ⌈√n⌉, b = ⌈n/a⌉, walked
until it lands below n (fewer than a of the a·b points lie above). One round adds a keyed hash of one half
to the other; its eight round keys are digests of the stream's key and the epoch's number. At most 2^62
examples, so that a half fits 31 bits and the sum of two of them 32.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.digest import Digest, digest
from jobspec.ir.job import Stream

Positions = NDArray[np.int64]
Halves = NDArray[np.uint32]

#: `lowbias32` of Chris Wellons' hash-prospector: a bijection of 32 bits with low measured bias
SHIFTS = (np.uint32(16), np.uint32(15), np.uint32(16))
FACTORS = (np.uint32(0x7FEB352D), np.uint32(0x846CA68B))


def examples_of(stream: Stream, examples: int, positions: Positions) -> Positions:
    """Example numbers (each 0 … examples-1) of one data set at its `positions`, which ascend."""
    if stream.order == "sequence":
        return positions % examples
    return shuffled(stream.key, examples, positions)


def window_count(tokens: int, window: int) -> int:
    """Examples in a stream of `tokens`: example i is the tokens i*window … i*window + window, both included."""
    return max(0, (tokens - 1) // window)


def shuffled(key: bytes, examples: int, positions: Positions) -> Positions:
    """The examples at `positions` (ascending) where every epoch has a permutation of its own."""
    epochs, places = np.divmod(positions, examples)
    result = np.empty_like(places)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1) if len(positions) else ():
        low, high = np.searchsorted(epochs, [epoch, epoch + 1])
        result[low:high] = permuted(places[low:high], examples, round_keys(key, epoch))
    return result


@lru_cache(maxsize=64)
def round_keys(key: bytes, epoch: int) -> Halves:
    """Eight 32-bit round keys: the words of a digest of the key and the epoch in 8 bytes; little end first."""
    return words(digest("sampling.epoch", key + epoch.to_bytes(8, "little")))


def words(digest: Digest) -> Halves:
    """Its eight 32-bit words, little end first."""
    return np.frombuffer(digest.raw, "<u4")


def permuted(places: Positions, n: int, keys: Halves) -> Positions:
    """Images of `places` (each 0 … n-1) under the permutation of 0 … n-1 that `keys` choose: eight words for all
    places, or eight rows with a word for each place."""
    found = _network(places, n, keys)
    outside = np.flatnonzero(found >= n)
    while len(outside):
        own = keys if keys.ndim == 1 else keys[:, outside]
        found[outside] = _network(found[outside], n, own)
        outside = outside[found[outside] >= n]
    return found


def _network(places: Positions, n: int, keys: Halves) -> Positions:
    rows = isqrt(n - 1) + 1
    sides = (rows, -(-n // rows))
    high = places // rows
    left, right = (places - high * rows).astype(np.uint32), high.astype(np.uint32)
    for number, key in enumerate(keys):
        left, right = right, _rotated(left, _hashed(right, key), sides[number & 1])
    return right.astype(np.int64) * rows + left


def _rotated(half: Halves, hashed: Halves, side: int) -> Halves:
    """half + ⌊hash · side / 2^32⌋ mod side, without a division: where nothing is to be taken off, total - side
    wraps above total."""
    total = half + ((hashed.astype(np.uint64) * np.uint64(side)) >> np.uint64(32)).astype(np.uint32)
    reduced: Halves = np.minimum(total, total - np.uint32(side))
    return reduced


def _hashed(half: Halves, key: Halves | np.uint32) -> Halves:
    mixed: Halves = half ^ key
    mixed = (mixed ^ (mixed >> SHIFTS[0])) * FACTORS[0]
    mixed = (mixed ^ (mixed >> SHIFTS[1])) * FACTORS[1]
    mixed ^= mixed >> SHIFTS[2]
    return mixed
