"""A session on workers: the face of one device, a crew behind it.

Takes: a job, its plan for the layout of batches, a scheduler, how programs are cut. Promises: what backends/session.py
promises, with the bits of any other session. The state lies with the workers; the head takes it every few seconds, and
whenever it looks, and has what they lose computed again from there. Digests are their makers'; one that was handed out
and comes out otherwise when it is computed again ends the run. Rows of batches go from the head, which reads and
verifies the data: they are small beside what the tasks give each other, and so mixtures, order and windows stay in
one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.session import feeds_of
from jobspec.backends.session import Outcome
from jobspec.ir.digest import Digest
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.ir.plan import Routine as Layout
from jobspec.passes.layout import NONFINITE
from jobspec.passes.split.graph import Cut, Task
from jobspec.passes.split.task_job import MADE
from jobspec.runtime.workers.crew import Gone, Parcel
from jobspec.runtime.workers.cutting import Routine
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.shelf import Shelf
from jobspec.runtime.workers.state import State
from jobspec.runtime.workers.trouble import Liar, lost_too_often, otherwise, tainted
from jobspec.runtime.workers.work import FIRST, Part, Prepared, Work, Worked, prepared
from jobspec.runtime.workers.worker import part
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]
#: evaluation batches that are under way together, for each worker
BESIDE = 2
#: times that one call may begin again
AGAIN = 50
#: seconds after which the head takes the state, unless it has it by then, and so many times longer than that takes;
#: bytes of batches that are kept until it does
KEEP, TIMES, ROOM = 5.0, 10.0, 64 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """Of `run`: its arguments; `said`: digests of slots that were handed out after it."""

    routine: str
    first: int
    feeds: NDArray[np.uint8]
    said: dict[str, Digest] = field(default_factory=dict)


class WorkersSession:
    """`cut`: a routine's graph by its name; `shelf`: where the head puts what it takes of the state."""

    def __init__(
        self, job: Job, plan: Plan, scheduler: Scheduler, cut: Callable[[str], Routine], shelf: Shelf | None = None
    ) -> None:
        self._job, self._plan, self._scheduler, self._cut = job, plan, scheduler, cut
        self._state = State(scheduler.crew, job.state, shelf)
        self._prepared: dict[str, Prepared] = {}
        self._kept: dict[str, Array] = {}
        self._keep_after, self._calls = 0.0, list[Call]()

    def write(self, slot: str, value: Array) -> None:
        self._again(self._keep)
        self._state.write(slot, np.array(value, order="C"))
        self._kept[slot] = self._state.array(slot)

    def read(self, slot: str) -> Array:
        return self.peek(slot).copy()

    def peek(self, slot: str) -> Array:
        return self._again(lambda: self._state.array(slot))

    def digest(self, slot: str) -> Digest:
        """The name of the bytes of a tensor of state, which are not taken for it where its maker said it."""
        found = self._again(lambda: self._state.digest(slot))
        if self._calls:
            self._calls[-1].said[slot] = found
        return found

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        call = Call(routine, first, feeds)
        return self._again(lambda: self._called(call), self._since(routine, first))

    def close(self) -> None:
        self._scheduler.crew.close()

    # ---- what is lost is computed again

    def _again(self, get: Callable[[], T], begins: int | None = None) -> T:
        """What `get` gives, once nothing of it is lost on the way. `begins`: the first step that it computes; what was
        computed before is handed out and cannot be taken back. None where it computes none."""
        behind = False
        for _ in range(AGAIN):
            try:
                if behind:
                    self._go_back()
                return get()
            except Gone:
                behind = True
            except Liar as liar:
                if liar.since is not None and (begins is None or liar.since < begins):
                    raise tainted(liar, liar.since) from None
                behind = True
        raise lost_too_often(AGAIN)

    def _go_back(self) -> None:
        """The state as the head last had all of it, and from there on what was called since. Raises Tainted where
        that is not what was handed out."""
        self._state.restore(self._kept)
        for call in self._calls:
            self._run(call)
            if any(self._state.digest(slot) != said for slot, said in call.said.items()):
                raise otherwise(call.first)

    def _called(self, call: Call) -> Outcome:
        if self._calls and self._state.is_here:
            self._keep()
        outcome = self._run(call)
        if self._changes_state(call.routine):
            late = self._scheduler.crew.now() > self._keep_after
            if late or sum(c.feeds.nbytes for c in (*self._calls, call)) > ROOM:
                self._keep()
            else:
                self._calls.append(call)
        return outcome

    def _keep(self) -> None:
        """All of the state is on the head."""
        begun = self._scheduler.crew.now()
        self._kept, self._calls = self._state.kept(), []
        now = self._scheduler.crew.now()
        self._keep_after = now + max(KEEP, TIMES * (now - begun))

    # ---- one call

    def _run(self, call: Call) -> Outcome:
        layout, feeds = self._plan.routine(call.routine), call.feeds
        reports = np.zeros((len(feeds), len(layout.reports)), np.float32)
        done = 0
        for worked in self._each(layout, call.first, feeds):
            reports[done] = self._take(layout, worked)
            done += 1
            if worked.flags:
                return Outcome(reports[:done], done, self._ordered(layout, worked.flags))
        return Outcome(reports, done, ())

    def _each(self, layout: Layout, first: int, feeds: NDArray[np.uint8]) -> Iterator[Worked]:
        """Rows one after another where each changes the state for the next, else many at a time."""
        beside = 1 if self._changes_state(layout.name) else BESIDE * max(1, self._scheduler.tally.workers)
        for at in range(0, len(feeds), beside):
            rows = feeds[at : at + beside]
            yield from self._scheduler.run([self._work(layout, first + at + i, row) for i, row in enumerate(rows)])

    def _work(self, layout: Layout, step: int, row: NDArray[np.uint8]) -> Work:
        rows, shared = feeds_of(layout, row), dict[Part, Parcel]()

        def given(wanted: Part) -> Parcel:
            value, cut = wanted
            if value in self._state.places:
                return self._state.parcel(value, cut)
            if wanted not in shared:
                shared[wanted] = self._share(rows[value], cut)
            return shared[wanted]

        return Work(self._graph(layout.name), step, given, self._meaning, self._since(layout.name, step))

    def _since(self, routine: str, step: int) -> int | None:
        if not self._changes_state(routine):
            return None
        return FIRST if routine == "init" else step

    def _share(self, array: Array, cut: Cut | None) -> Parcel:
        mine = part(array, cut)
        return self._scheduler.crew.share(mine, array_digest(mine))

    def _graph(self, routine: str) -> Prepared:
        if routine not in self._prepared:
            found = self._cut(routine)
            self._state.places |= found.places
            self._prepared[routine] = prepared(found.graph)
        return self._prepared[routine]

    def _take(self, layout: Layout, worked: Worked) -> list[np.float32]:
        """The next state is taken over; the reports are given back."""
        results = self._graph(layout.name).graph.results
        values = dict(results)
        for slot, names in self._changed(results).items():
            self._state.put(slot, {name: self._parcel(values[name], worked) for name in names})
        return [np.float32(self._scheduler.crew.fetch(worked.results[values[name]])) for name, _ in layout.reports]

    def _parcel(self, value: str, worked: Worked) -> Parcel:
        """A result: what a task made, or state as it was."""
        return worked.results[value] if value in worked.results else self._state.parcel(value, None)

    def _changed(self, results: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
        """Slots that have another value afterwards, with the names of theirs among the results."""
        names: dict[str, list[str]] = {}
        for name, _ in results:
            if name in self._state.places:
                names.setdefault(self._state.places[name].slot, []).append(name)
        values = dict(results)
        return {slot: mine for slot, mine in names.items() if any(values[name] != name for name in mine)}

    def _changes_state(self, routine: str) -> bool:
        return bool(self._changed(self._graph(routine).graph.results))

    # ---- flags

    def _meaning(self, task: Task, flags: Sequence[str]) -> tuple[str, ...]:
        """Of what a task's program raised, that which stops the run: values between tasks may be infinite, as those
        inside a step may."""
        values, found = dict(task.gives), []
        for flag in flags:
            if flag.startswith(NONFINITE + MADE):
                value = values[flag.removeprefix(NONFINITE + MADE)]
                found += [NONFINITE + slot for slot in self._made_by(value)]
            elif not flag.startswith(NONFINITE):
                found.append(flag)
        return tuple(found)

    def _made_by(self, value: str) -> list[str]:
        """Slots of floats that take their next value, or part of it, from `value`."""
        graphs = self._prepared.values()
        names = dict.fromkeys(name for prepared in graphs for name, made in prepared.graph.results if made == value)
        slots = dict.fromkeys(self._state.places[name].slot for name in names if name in self._state.places)
        return [slot for slot in slots if self._state.dtype(slot) == "f32"]

    def _ordered(self, layout: Layout, flags: Sequence[str]) -> tuple[str, ...]:
        """Flags in the plan's order, each once."""
        known = [flag for flag in layout.flags if flag in flags]
        return tuple(dict.fromkeys([*known, *flags]))
