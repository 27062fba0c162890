"""What a run takes, known before it starts: operations, bytes moved, memory.

Takes: a job, its plan, the backend. Promises: counts that follow from the plan alone; memory as this runtime comes to
hold it at its fullest: the arena, what native code needs beside it, batches on their way, one copy of the state for a
checkpoint, and the program itself. Data is mapped from disk and may leave memory at any time: it is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.backends.registry import Backend
from jobspec.ir.amounts import in_bytes
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Batches, Evaluation, Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan, Routine
from jobspec.passes.layout import slot_buffers
from jobspec.runtime.stops import Pace, looks_of

if TYPE_CHECKING:
    from jobspec.passes.tally import Tally, of_routine
else:
    Tally = later("jobspec.passes.tally", "Tally")
    of_routine = later("jobspec.passes.tally", "of_routine")

#: what the code generator keeps once it has been used (measured)
GENERATOR = 38 << 20
#: portions of batches in memory: the one that runs, the next, what that is gathered from, and put in order from tokens
PORTIONS = 4
PAGES = Path("/proc/self/statm")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Part:
    """A routine's part of the run. `phases`: those it is the step of; `count`: how often it runs; `once`: what one run
    does; `arena`, `scratch`: bytes, the state among them."""

    name: str
    phases: tuple[str, ...]
    count: int
    once: Tally
    arena: int
    scratch: int

    @property
    def memory(self) -> int:
        return self.arena + self.scratch


@dataclass(frozen=True)
class Memory:
    """Bytes of a run at its fullest."""

    arena: int
    scratch: int
    batches: int
    checkpoint: int
    program: int

    @property
    def peak(self) -> int:
        return self.arena + self.scratch + self.batches + self.checkpoint + self.program


@dataclass(frozen=True)
class Forecast:
    parts: tuple[Part, ...]
    memory: Memory

    @property
    def total(self) -> Tally:
        """What the whole run does."""
        return sum((part.once.times(part.count) for part in self.parts), Tally())

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)


def forecast(job: Job, plan: Plan, backend: Backend, threads: int) -> Forecast:
    """`plan` is that of `job` for `backend`."""
    counts = run_counts(job)
    parts = tuple(
        Part(
            name=routine.name,
            phases=phases_of(job, routine.name),
            count=counts[routine.name],
            once=of_routine(routine),
            arena=routine.arena,
            scratch=backend.scratch(routine, plan.target, threads),
        )
        for routine in plan.routines
    )
    return Forecast(parts, memory_of(job, plan, sum(part.scratch for part in parts)))


def run_counts(job: Job) -> dict[str, int]:
    """How often each routine runs."""
    counts = {"init": 1} | dict.fromkeys(job.step_names, 0)
    for name, phase in zip(job.step_names, job.phases, strict=True):
        counts[name] += phase.steps
    return counts | {e.name: e.count * times(job, e) for e in job.evaluations}


def times(job: Job, evaluation: Evaluation) -> int:
    """How often an evaluation falls due: at its cadence, and at the end."""
    every = evaluation.every
    return job.steps // every + (job.steps % every > 0) if every else 1


def phases_of(job: Job, routine: str) -> tuple[str, ...]:
    return tuple(phase.name for name, phase in zip(job.step_names, job.phases, strict=True) if name == routine)


# ---- memory


def memory_of(job: Job, plan: Plan, scratch: int = 0) -> Memory:
    """`scratch`: what native code takes beside the arena; every routine keeps its own."""
    return Memory(
        arena=max(routine.arena for routine in plan.routines),
        scratch=scratch,
        batches=max(portions(job, plan)),
        checkpoint=slot_buffers(job.state)[1],
        program=resident() + GENERATOR,
    )


def portions(job: Job, plan: Plan) -> Iterator[int]:
    """Bytes of batches on their way, routine by routine."""
    gap = min(looks_of(job, job.steps).cadences, default=job.steps)
    for name, phase in zip(job.step_names, job.phases, strict=True):
        yield on_the_way(plan.routine(name), phase.batches, min(gap, phase.steps))
    for evaluation in job.evaluations:
        yield on_the_way(plan.routine(evaluation.name), evaluation.batches, evaluation.count)


def on_the_way(routine: Routine, batches: Batches, most: int) -> int:
    """`most`: batches that are ever asked for at once."""
    copies = PORTIONS if batches.stream.window else PORTIONS - 1
    return copies * routine.feed * min(most, Pace(routine.feed).most)


def resident() -> int:
    """Bytes that this process has in memory now; 0 where the system does not say."""
    try:
        return int(PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def machine_memory() -> int:
    """Bytes that this process may have: the machine's, or the less that its group is given."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(found)


def too_large(memory: Memory, limit: int, help: str) -> JobspecError:
    """E0511 in words."""
    copy = f"{in_bytes(memory.checkpoint)} to copy the state for a checkpoint"
    parts = f"{in_bytes(memory.arena)} for state and values, {copy}"
    reason = f"the run takes {in_bytes(memory.peak)} of memory ({parts}), and there are {in_bytes(limit)}"
    return JobspecError("E0511", reason, help=help)


def largest(routine: Routine, count: int) -> Sequence[int]:
    """Numbers of the largest buffers of a routine, largest first."""
    sizes = [buffer.type.nbytes for buffer in routine.buffers]
    return sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))[:count]
