"""The course of a run: one job in one session, portion by portion.

Takes: a job, its plan, a session that has loaded it, the data. Promises: whoever drives it (a run, a
replay, a dispute) gets the same states, reports and chain for the same job, however the steps are cut into
portions, wherever the course was taken up, in whichever phase.
A raised flag ends it with an error naming tensor and step.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.session import Outcome, Session
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Evaluation, Job, Phase
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.program import Node, Program
from jobspec.runtime import chain as chains
from jobspec.runtime.batches import Ahead, Feeder, Share, evaluation_shares, phase_shares
from jobspec.runtime.chain import Chain, StepRecord
from jobspec.runtime.means import mean
from jobspec.runtime.roots import Roots
from jobspec.runtime.standing import Standing
from jobspec.runtime.start import Weights
from jobspec.runtime.stops import Looks, Pace
from jobspec.store.datasets import DataSet

Array = NDArray[Any]
NONFINITE = "nonfinite: "


class TrainingError(JobspecError):
    """The job itself cannot go on: a NaN or infinity in its state, an index outside its axis (exit code 1)."""


@dataclass(frozen=True)
class Portion:
    """Steps first … first+len(reports)-1, done in `seconds`, all of one phase. `reports`: f32 [steps, names].
    `look`: the host has to look here."""

    first: int
    names: tuple[str, ...]
    reports: NDArray[np.float32]
    seconds: float
    look: bool

    @property
    def last(self) -> dict[str, np.float32]:
        """What the last step reported, by name."""
        return dict(zip(self.names, self.reports[-1], strict=True))


class Stretch:
    """One phase in the session. `first`, `end`: its steps of the run, the end not included."""

    def __init__(self, phase: Phase, end: int, routine: Routine, shares: Sequence[Share]) -> None:
        self.first, self.end, self.routine = end - phase.steps, end, routine
        self.feeder = Feeder(routine, phase.batches, shares)
        self.names = tuple(name.removeprefix("report.") for name, _ in routine.reports)
        self.changes = changed_by(phase.step)


def changed_by(step: Program) -> frozenset[str]:
    """The slots that a step gives other values than they had."""
    return frozenset(name for name, node in step.outputs if node not in step.inputs or node["name"] != name)


class Course:
    """A job under way. `data`: the job's data sets by source name; `weights`: where those are that it may begin
    with. The chain is at step 0 of nothing before `begin` or `restore`."""

    def __init__(
        self, job: Job, hash: Digest, plan: Plan, session: Session, data: Mapping[str, DataSet], weights: Weights
    ) -> None:
        self.job, self.hash, self.plan, self.session = job, hash, plan, session
        self._data, self._weights = data, weights
        self._stretches = [
            Stretch(phase, end, plan.routine(name), phase_shares(job, phase, data))
            for phase, end, name in zip(job.phases, job.borders, job.step_names, strict=True)
        ]
        changes = frozenset[str]().union(*(stretch.changes for stretch in self._stretches))
        self.state_roots = Roots(session, job.state, {slot.name for slot in job.state} - changes)
        self._standing: Standing | None = None

    @property
    def standing(self) -> Standing:
        assert self._standing is not None, "neither begun nor restored"
        return self._standing

    @property
    def chain(self) -> Chain:
        """Where the run stands, the record that closes waited for."""
        return self.standing.settled()

    @property
    def done(self) -> int:
        """Steps done."""
        return self.standing.done

    @property
    def roots(self) -> Sequence[Digest]:
        """Roots of the training data."""
        return tuple(self._data[name].root for name in self.job.training_sources)

    @property
    def folders(self) -> list[str]:
        """The folders that data is read from."""
        return list(dict.fromkeys(str(folder) for set in self._data.values() for folder in set.store.folders))

    def begin(self) -> Digest:
        """Make the state before step 0; its root."""
        nothing = np.zeros((1, self.plan.routine("init").feed), np.uint8)
        self._check(self.session.run("init", 0, nothing), "in the initial state")
        for name, array in self._weights.tensors(self.job).items():
            self.session.write(name, array)
        self._all_changed()
        root = self.root()
        self._standing = Standing(chains.start(self.hash, self.roots, root))
        return root

    def restore(self, chain: Chain, tensors: Mapping[str, Array]) -> None:
        """Take up where `chain` stands, with that state."""
        for slot in self.job.state:
            self.session.write(slot.name, tensors[slot.name])
        self._all_changed()
        self._standing = Standing(chain)

    def _all_changed(self) -> None:
        self.state_roots.changed([slot.name for slot in self.job.state])

    def state(self) -> dict[str, Array]:
        """Copies of the tensors of state, in state order."""
        return {slot.name: self.session.read(slot.name) for slot in self.job.state}

    def seen(self) -> dict[str, Array]:
        """The same to look at before the next portion: where the host can read them, their memory itself."""
        return {slot.name: self.session.peek(slot.name) for slot in self.job.state}

    def root(self) -> Digest:
        """Root of the present state, which is not copied for it."""
        return self.state_roots.now()

    def record(self, state: Digest) -> StepRecord:
        """Close the steps since the last record; `state`: the root of the present state."""
        chain, record = self.chain.recorded(state)
        self._standing = Standing(chain)
        return record

    def close_record(self, *, copy: bool) -> None:
        """Begin to close them: the root is computed while further steps run, if the state may be copied for it."""
        assert self.standing.closing is None, "the record before closes still"
        self._standing = replace(self.standing, closing=self.state_roots.later(copy=copy))

    def closed_record(self) -> StepRecord:
        """The record that closes, waited for."""
        self._standing, record = self.standing.closed()
        return record

    def portions(self, looks: Looks) -> Iterator[Portion]:
        """Run on to step `looks.last`, handing back control after every portion."""
        for stretch in self._stretches:
            if self.done < min(stretch.end, looks.last):
                yield from self._along(stretch, looks)

    def _along(self, stretch: Stretch, looks: Looks) -> Iterator[Portion]:
        """The portions of one phase, from where the chain stands to its end or `looks.last`."""
        pace = Pace(stretch.routine.feed)
        with Ahead(stretch.feeder) as ahead:
            first, stop = self.done, min(stretch.end, looks.last)
            size = self._size(pace, looks, first, stop)
            while first < stop:
                rows = ahead.rows(first - stretch.first, size)
                after = first + size
                following = self._size(pace, looks, after, stop)
                ahead.ask(after - stretch.first, following)
                portion = self._run(stretch, first, rows, look=looks.is_look(after))
                pace.took(size, portion.seconds)
                first, size = after, following
                yield portion

    def _size(self, pace: Pace, looks: Looks, first: int, stop: int) -> int:
        """Steps of the portion that begins at `first`; none at `stop`."""
        return min(pace.steps, looks.after(first) - first, stop - first)

    def _run(self, stretch: Stretch, first: int, rows: NDArray[np.uint8], *, look: bool) -> Portion:
        begun = time.perf_counter()
        outcome = self.session.run(stretch.routine.name, first, rows)
        seconds = time.perf_counter() - begun
        self.state_roots.changed(stretch.changes)
        self._check(outcome, f"at step {first + outcome.done - 1}")
        self._standing = self.standing.reported(outcome.reports)
        return Portion(first, stretch.names, outcome.reports, seconds, look)

    def batch(self, step: int) -> tuple[Routine, NDArray[np.uint8]]:
        """The routine that step `step` runs, and the bytes of its batch."""
        stretch = next(s for s in self._stretches if step < s.end)
        return stretch.routine, stretch.feeder.rows(step - stretch.first, 1)[0]

    def evaluate(self, evaluation: Evaluation) -> dict[str, np.float32]:
        """The evaluation's metrics in the present state, by name."""
        routine = self.plan.routine(evaluation.name)
        feeder = Feeder(routine, evaluation.batches, evaluation_shares(self.job, evaluation, self._data))
        cuts = _cut(evaluation.count, Pace(routine.feed).most)
        table = np.concatenate([self._evaluated(routine.name, feeder, first, count) for first, count in cuts])
        names = [name.removeprefix("metric.") for name, _ in routine.reports]
        return {name: mean(table[:, column]) for column, name in enumerate(names)}

    def _evaluated(self, routine: str, feeder: Feeder, first: int, count: int) -> NDArray[np.float32]:
        outcome = self.session.run(routine, first, feeder.rows(first, count))
        place = f"in batch {first + outcome.done - 1} of evaluation `{routine}` after step {self.done}"
        self._check(outcome, place)
        return outcome.reports

    def _check(self, outcome: Outcome, where: str) -> None:
        if outcome.flags:
            raise raised(self.job, outcome.flags, where)


def _cut(count: int, most: int) -> Iterator[tuple[int, int]]:
    """(first, count) of portions of at most `most` batches."""
    for first in range(0, count, most):
        yield first, min(most, count - first)


def raised(job: Job, flags: Sequence[str], where: str) -> TrainingError:
    """What raised flags mean, in words."""
    wrong = [f"{flag}{lines_that_pick(job, flag)}" for flag in flags if not flag.startswith(NONFINITE)]
    if wrong:
        help = "an index must be smaller than the size of the axis it picks from: compare the data with the job's dims"
        return TrainingError("E0503", f"{'; '.join(wrong)}, {where}", help=help)
    names = [f"`{flag.removeprefix(NONFINITE)}`" for flag in flags]
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    help = "lower the learning rate, or bound the gradients with `clip`; `--until` stops before that step"
    return TrainingError("E0502", f"{listed} became non-finite {where}", help=help)


def lines_that_pick(job: Job, flag: str) -> str:
    """` (line 12)`: where the text picks from an axis that ends where `flag` says; nothing without a text."""
    size = int(flag.rpartition(" ")[2]) + 1
    lines = sorted({line for node, (line, _) in job.places.items() if picked_from(node) == size})
    return f" ({'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines))})" if lines else ""


def picked_from(node: Node) -> int | None:
    """The size of the axis that an index of this operation counts along."""
    match node.op:
        case "gather":
            return node.args[0].shape[int(node["batch"])]
        case "experts":
            return node.args[1].shape[0]
    return None
