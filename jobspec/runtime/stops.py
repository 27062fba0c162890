"""Where the loop lets go of the device: the steps at which the host has to look.

Takes: a job's cadences, the step to stop at, the speed measured so far. Promises: a portion never runs
past a state root, a checkpoint, an evaluation, the end of a phase or the end; between them portions last
about TICK seconds, so that progress moves and Ctrl-C is heard. How steps are cut into portions never changes a result.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.job import Job

#: seconds a portion should last
TICK = 0.1
#: bytes of batches in one portion, at most
BYTES = 8 << 20


@dataclass(frozen=True)
class Looks:
    """`cadences`: numbers of steps whose multiples are looked at; `borders`: single steps that are; `last`: the
    step to stop at."""

    cadences: tuple[int, ...]
    last: int
    borders: tuple[int, ...] = ()

    def after(self, step: int) -> int:
        """The next step after `step` at which the host must look."""
        borders = (border for border in self.borders if border > step)
        return min([self.last, *borders, *((step // every + 1) * every for every in self.cadences)])

    def is_look(self, step: int) -> bool:
        """Whether the host must look after `step` steps."""
        ends = step == self.last or step in self.borders
        return ends or any(step % every == 0 for every in self.cadences)


def looks_of(job: Job, last: int, *, records_only: bool = False) -> Looks:
    """All looks of a run up to step `last`; `records_only`: those of the chain alone, as a replay needs."""
    others = [] if records_only else [job.save_every, *(e.every for e in job.evaluations)]
    return Looks(tuple(sorted({every for every in (job.roots_every, *others) if every > 0})), last, job.borders)


def closes_record(job: Job, step: int) -> bool:
    """Whether the chain has a record after `step` steps: at its cadence, and where a phase ends."""
    return step in job.borders or due(job.roots_every, step)


def due(every: int, step: int) -> bool:
    """Whether a cadence falls on `step`."""
    return every > 0 and step % every == 0


class Pace:
    """Portion sizes from measured speed. `row`: bytes of one step's batch; `most`: steps whose batches fit."""

    def __init__(self, row: int) -> None:
        self.most = min(1 << 20, max(1, BYTES // max(1, row)))
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a portion; sizes at most double, since a first portion may be slow or fast by chance."""
        fitting = int(steps * TICK / seconds) if seconds > 0 else 2 * self.steps
        self.steps = max(1, min(fitting, 2 * self.steps, self.most))
