"""Which segment holds a step, how few places a round asks about, how deep a trace may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.ir.record import RecordError
from jobspec.runtime.chain import StepRecord, start
from jobspec.verify.frames import DEPTH, read_frame
from jobspec.verify.narrow import WIDTH, between
from jobspec.verify.segments import Segment
from jobspec.verify.tracing import segment_of

NOTHING = Digest(bytes(32))
BEGUN = start(NOTHING, [], NOTHING)


def segments(*steps: int) -> list[Segment]:
    """Segments that end after these steps."""
    begins = (0, *steps)
    return [
        Segment(number, replace(BEGUN, done=begins[number]), StepRecord(step, NOTHING, NOTHING, NOTHING))
        for number, step in enumerate(steps)
    ]


def test_the_segment_that_holds_a_step() -> None:
    first, second = segments(5, 8)
    assert segment_of([first, second], 4) is first
    assert segment_of([first, second], 5) is second


@pytest.mark.parametrize(("steps", "last"), [((), "log is gone"), ((5,), "0 … 4"), ((5, 8), "0 … 7")])
def test_a_step_behind_the_last_record(steps: tuple[int, ...], last: str) -> None:
    with pytest.raises(UsageError, match="there is no step 9 to trace: ") as caught:
        segment_of(segments(*steps), 9)
    assert caught.value.code == "E0844" and last in caught.value.reason


def test_a_round_asks_about_as_many_places_as_it_may() -> None:
    assert len(between(0, 10 * WIDTH)) == WIDTH
    assert between(3, 6) == [4, 5] and between(3, 4) == []


def test_loops_in_loops_are_bounded() -> None:
    frame: Value = []
    for _ in range(DEPTH - 1):
        frame = [[[], [frame]]]
    read_frame(frame)
    with pytest.raises(RecordError, match="nested too deep"):
        read_frame([[[], [frame]]])
