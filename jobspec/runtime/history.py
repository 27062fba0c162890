"""The history that a run's log tells.

Takes: events in the order of the log. Promises: what counts of them: where a run was taken up again at
step s, what was said of later steps is superseded, and a course begun afresh supersedes all before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest
from jobspec.runtime.chain import StepRecord
from jobspec.runtime.events import (
    Begun,
    Dropped,
    Evaluated,
    Event,
    Finished,
    Recorded,
    Saved,
    Stepped,
    read_event,
)


@dataclass
class History:
    """What a log tells. `saved`: checkpoints that are there, in the order they were made; `stale`: those of a
    course that was begun afresh since; `finished`: the receipt's bytes."""

    begun: list[Begun] = field(default_factory=list)
    stepped: list[Stepped] = field(default_factory=list)
    records: list[StepRecord] = field(default_factory=list)
    evaluated: list[Evaluated] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    stale: list[Saved] = field(default_factory=list)
    finished: bytes | None = None

    def add(self, event: Event) -> None:
        match event:
            case Begun():
                self._take_up(event)
            case Stepped():
                self.stepped.append(event)
            case Recorded():
                self.records.append(event.record)
            case Evaluated():
                self.evaluated.append(event)
            case Saved():
                self.saved.append(event)
            case Dropped():
                self._drop(event.name)
            case Finished():
                self.finished = event.receipt

    def _take_up(self, event: Begun) -> None:
        """Forget what lies behind the step at which the run goes on."""
        self.begun.append(event)
        step = event.step
        self.finished = None
        self.stepped = [_until(s, step) for s in self.stepped if s.first < step]
        self.records = [r for r in self.records if r.step <= step]
        self.evaluated = [e for e in self.evaluated if e.step <= step and step > 0]
        self.stale += [s for s in self.saved if s.chain.done > step or step == 0]
        self.saved = [s for s in self.saved if s.chain.done <= step and step > 0]

    def _drop(self, name: Digest) -> None:
        self.saved = [s for s in self.saved if s.name != name]
        self.stale = [s for s in self.stale if s.name != name]

    def reports(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Each report so far by name: the steps that made it (from 0), and its values. Phases may differ in them."""
        names = dict.fromkeys(name for s in self.stepped for name in s.names)
        return {name: self._report(name) for name in names}

    def _report(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        made = [s for s in self.stepped if name in s.names]
        steps = [np.arange(s.first, s.first + len(s.reports)) for s in made]
        values = [s.reports[:, s.names.index(name)] for s in made]
        return np.concatenate(steps), np.concatenate(values)


def _until(event: Stepped, step: int) -> Stepped:
    return Stepped(event.first, event.names, event.reports[: step - event.first])


def history_of(values: Iterable[Value]) -> History:
    """The history a log's values tell. Raises RecordError for a record this version does not know."""
    history = History()
    for value in values:
        history.add(read_event(value))
    return history
