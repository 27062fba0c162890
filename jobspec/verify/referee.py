"""What a dispute's referee computes itself: a segment, or what one step is given.

Takes: a job, its data, sides that agree up to the segment. Promises: the segment is computed once, from the newest
state that the agreed chain commits to; each side is held against it, and the first step, tensor and element that its
log, trace or checkpoint shows to be different are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.job import Job
from jobspec.runtime.chain import Chain
from jobspec.runtime.course import TrainingError
from jobspec.store.dtypes import Array
from jobspec.verify.compare import first_difference
from jobspec.verify.judge import Found
from jobspec.verify.party import Party
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.segments import Segment, segments
from jobspec.verify.tracefile import SegmentTrace
from jobspec.verify.tracing import advance, batch_of, trace_segment

Pair = tuple[Party, Party]
REFERENCE = "reference"


def judged(sides: Pair, job: Job, means: Means, segment: Segment) -> Found:
    """Who is wrong about the segment, by computing it."""
    with course_of(job, sides[0].folder, means) as course:
        agreed = list(segments(sides[0].receipt, sides[0].records))[: segment.number + 1]
        advance(course, sides[0].folder, agreed, sides[0].saved, segment.chain.done)
        try:
            right = trace_segment(course, segment)
        except TrainingError as error:
            return Found(tuple(side.name for side in sides), (f"the claimed steps cannot be trained: {error.reason}",))
        state = course.state()
    record = closed(segment.chain, right).recorded(right.states[-1])[1]
    wrong = [side for side in sides if side.records[segment.number] != record]
    lines = [line for side in wrong for line in told(side, segment, right, state)]
    lines.append("for the operation, let both sides run `jobspec trace --values` on the first step that differs")
    return Found(tuple(side.name for side in wrong), tuple(lines))


def closed(chain: Chain, trace: SegmentTrace) -> Chain:
    """The chain with the segment's reports in it."""
    for row in trace.reports:
        chain = chain.reported(np.frombuffer(row, "<f4")[None])
    return chain


def told(side: Party, segment: Segment, right: SegmentTrace, state: Mapping[str, Array]) -> Iterator[str]:
    """What of the side differs from the referee's own computation."""
    rows = side.rows()
    pairs = zip(range(right.first, segment.record.step), right.reports, strict=True)
    step = next((step for step, row in pairs if rows.get(step, row) != row), None)
    if step is not None:
        yield f"{side.name}: step {step} is the first whose reports are not what the referee computes"
    record = side.records[segment.number]
    tensors = side.tensors(record.step, record.after)
    difference = first_difference(state, tensors) if tensors is not None else None
    if difference is not None:
        yield f"{side.name}: after step {record.step - 1}, {difference}"
    if step is None and difference is None:
        yield f"{side.name}: its record of these steps is not what the referee computes"


class Batch(Mapping[str, Array]):
    """What a step is given besides the state, read from the data when asked for."""

    def __init__(self, job: Job, side: Party, means: Means, step: int) -> None:
        self._job, self._side, self._means, self._step = job, side, means, step

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        means = Means(self._means.home, REFERENCE, 1, self._means.search)
        with course_of(self._job, self._side.folder, means) as course:
            return batch_of(course, self._step)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)
