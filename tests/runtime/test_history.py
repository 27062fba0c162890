"""Events and the history they tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.ir.canonical import decode, encode
from jobspec.ir.digest import digest
from jobspec.ir.record import RecordError
from jobspec.runtime.chain import Chain, StepRecord
from jobspec.runtime.events import (
    Begun,
    Dropped,
    Evaluated,
    Event,
    Finished,
    Recorded,
    Saved,
    Stepped,
    event_value,
    read_event,
)
from jobspec.runtime.history import History, history_of

A, B, C = (digest("test", bytes([i])) for i in range(3))


def begun(step: int) -> Begun:
    return Begun(step, "reference", 2, A, 17, 1_700_000_000)


def stepped(first: int, count: int) -> Stepped:
    return Stepped(first, ("loss",), np.arange(first, first + count, dtype="<f4").reshape(count, 1))


def saved(step: int, name: Any = A, best: str | None = None) -> Saved:
    return Saved(name, Chain(A, B, step, C, step), best)


EVENTS: list[Event] = [
    begun(0),
    stepped(0, 3),
    Recorded(StepRecord(3, A, B, C)),
    Evaluated("held", 3, (("acc", np.float32(0.5)), ("nan", np.float32("nan")))),
    saved(3, best="held"),
    saved(3),
    Dropped(A),
    Finished(b"receipt"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_events_read_back(event: Event) -> None:
    again = read_event(decode(encode(event_value(event))))
    assert event_value(again) == event_value(event) and type(again) is type(event)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"event": "other"},
        {"event": 3},
        {"event": "dropped"},
        {"event": "dropped", "name": b"short"},
        {"event": "stepped", "first": 0, "count": 2, "reports": b"\0" * 12},
        {"event": "stepped", "first": 0, "count": 0, "reports": b""},
        {"event": "evaluated", "name": "a", "step": 1, "metrics": [["acc", b"\0"]]},
    ],
)
def test_what_is_no_event_is_refused(value: Any) -> None:
    with pytest.raises(RecordError):
        read_event(value)


def told(*events: Event) -> History:
    return history_of(event_value(event) for event in events)


def test_taken_up_at_a_step_supersedes_what_came_later() -> None:
    before = [begun(0), stepped(0, 4), saved(4, B), stepped(4, 4), Recorded(StepRecord(8, A, B, C))]
    history = told(*before, Evaluated("held", 8, ()), saved(8, C), begun(4), stepped(4, 2))
    assert history.reports()["loss"][1].tolist() == [0, 1, 2, 3, 4, 5]
    assert history.records == [] and history.evaluated == []
    assert [s.name for s in history.saved] == [B] and [s.name for s in history.stale] == [C]


def test_a_portion_is_cut_where_the_run_was_taken_up() -> None:
    assert told(begun(0), stepped(0, 8), begun(5)).reports()["loss"][1].tolist() == [0, 1, 2, 3, 4]


def test_begun_afresh_supersedes_all() -> None:
    history = told(*EVENTS[:5], Finished(b"receipt"), begun(0))
    assert history.finished is None and history.reports() == {}
    assert history.saved == [] and [s.name for s in history.stale] == [A]


def test_dropped_checkpoints_are_gone() -> None:
    assert told(begun(0), saved(3, A), saved(6, B), Dropped(A)).saved == [saved(6, B)]
