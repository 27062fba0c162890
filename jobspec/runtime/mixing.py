"""Which data set of a mixture stands at which position, and which of its examples.

Takes: a stream of several parts, positions counted from its start. Promises: every block of the stream's
positions (as long as its counts together) has exactly `count` examples of each part, in an order that the
block's key chooses; a part's examples come one after another, none left out; any position is computed
from its block alone. Where a phase takes up data that phases with other streams took before, it goes on
behind what they took.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.digest import digest
from jobspec.ir.job import Job, Part, Phase, Stream
from jobspec.runtime.sampling import Positions, permuted, words

Parts = NDArray[np.intp]
#: positions worked out at once
AT_ONCE = 1 << 20


def parts_at(stream: Stream, first: int, count: int) -> tuple[Parts, Positions]:
    """For the positions first … first+count-1 the number of the part that is there, and how many examples of that
    part the stream has had before."""
    if len(stream.parts) == 1:
        return np.zeros(count, np.intp), np.arange(first, first + count, dtype=np.int64)
    low, high = first // stream.block, -(-(first + count) // stream.block)
    step = max(1, AT_ONCE // stream.block)
    pieces = [_blocks(stream, block, min(block + step, high)) for block in range(low, high, step)]
    wanted = slice(first - low * stream.block, first - low * stream.block + count)
    parts = np.concatenate([part for part, _ in pieces]) if pieces else np.zeros(0, np.intp)
    before = np.concatenate([before for _, before in pieces]) if pieces else np.zeros(0, np.int64)
    return parts[wanted], before[wanted]


@lru_cache(maxsize=2)
def _blocks(stream: Stream, low: int, high: int) -> tuple[Parts, Positions]:
    """`parts_at` for all positions of the blocks low … high-1."""
    blocks = np.arange(low, high, dtype=np.int64)[:, None]
    ends = np.cumsum([part.count for part in stream.parts])
    parts = np.searchsorted(ends, _places(stream, low, high), side="right").reshape(high - low, stream.block)
    before = np.zeros(parts.shape, np.int64)
    for number, part in enumerate(stream.parts):
        mine = parts == number
        before += mine * (blocks * part.count + np.cumsum(mine, axis=1) - 1)
    return parts.reshape(-1), before.reshape(-1)


def _places(stream: Stream, low: int, high: int) -> Positions:
    """Where in its block's fixed order (the first part's places, then the second's, …) each position is."""
    places = np.tile(np.arange(stream.block, dtype=np.int64), high - low)
    if stream.order == "sequence":
        return places
    keys = np.stack([words(digest("sampling.block", _numbered(stream.key, b))) for b in range(low, high)], axis=1)
    return permuted(places, stream.block, np.repeat(keys, stream.block, axis=1))


def _numbered(key: bytes, block: int) -> bytes:
    return key + block.to_bytes(8, "little")


def taken(stream: Stream, position: int) -> tuple[int, ...]:
    """How many examples of each part stand before `position`."""
    whole, rest = divmod(position, stream.block)
    parts, _ = parts_at(stream, whole * stream.block, rest)
    found = np.bincount(parts, minlength=len(stream.parts))
    return tuple(whole * part.count + int(n) for part, n in zip(stream.parts, found, strict=True))


def skips(job: Job, phase: Phase) -> tuple[int, ...]:
    """For each part of the phase's stream, how many of its examples phases with other streams took before. Two data
    sets with one root are one; another order, window or key is another reading of it, which begins anew."""
    begun = taken(phase.batches.stream, phase.batches.first)
    earlier = job.phases[: job.phases.index(phase)]
    total = [sum(_took(job, other, phase, part) for other in earlier) for part in phase.batches.stream.parts]
    return tuple(max(0, all_ - own) for all_, own in zip(total, begun, strict=True))


def _took(job: Job, phase: Phase, later: Phase, part: Part) -> int:
    """How many examples `phase` takes of what `part` reads in the phase `later`."""
    mine, batches = phase.batches.stream, phase.batches
    if _reading(mine) != _reading(later.batches.stream):
        return 0
    root = job.source(part.source).root
    low, high = taken(mine, batches.first), taken(mine, batches.first + phase.steps * batches.size)
    counted = zip(mine.parts, low, high, strict=True)
    return sum(b - a for other, a, b in counted if job.source(other.source).root == root)


def _reading(stream: Stream) -> tuple[str, int, bytes]:
    return stream.order, stream.window, stream.key
