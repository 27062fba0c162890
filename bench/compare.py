"""One workload, all contenders, side by side, each in a process of its own.

Takes: a workload, how long to measure. Promises: everyone starts from our initial weights and trains on our batches; a
contender whose first 20 losses are more than 1e-3 from ours is void and takes no part in the ratio. All are there at
once and are timed in turn, window by window; who is not asked is stopped (contenders.py). A ratio is the median over
rounds of two times out of the same round, the price of exactness over pairs of windows right after each other, so that
a machine that drifts changes neither.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench import handing
from bench.contenders import Child, answers, by_turns, in_pairs
from bench.timing import Spread, Timing, spread
from bench.workloads import Workload, begun
from jobspec.backends.registry import Backend
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.passes.tally import of_routine
from jobspec.runtime.engine import lowered

OURS, FREE = "jobspec", "jobspec, free order"
EAGER, FUSED, COMPILED = "torch eager", "torch eager, fused optimizer", "torch.compile"
JIT, SCAN, TINY = "jax.jit", "jax scan", "tinygrad"
#: what does not count as a peer
OWN = (OURS, FREE)
#: steps whose losses are compared, and the largest difference that counts as the same training
COMPARED, ALLOWED = 20, 1e-3
#: batches that are gone round: up to so many, or so many bytes
MOST, BYTES = 200, 4 << 20
#: contenders that get ready at once
AT_ONCE = 2
#: from so many parameters on a workload is large: fewer contenders, so many windows and pairs
LARGE, FEW, FEW_PAIRS = 4_000_000, 3, 15
#: seconds of a window of a pair
SHORT = 0.15
#: bytes for Python, LLVM and their libraries
PROCESS = 100_000_000


@dataclass(frozen=True)
class Effort:
    """How long to measure: windows of about so many seconds; `small`, `large`: who takes part in small workloads, in
    large ones; `pairs`: of short windows, ours and ours in a free order."""

    windows: int
    seconds: float
    small: tuple[str, ...]
    large: tuple[str, ...]
    pairs: int


FULL = Effort(7, 0.4, (OURS, FREE, EAGER, FUSED, COMPILED, JIT, SCAN, TINY), (OURS, FREE, FUSED, COMPILED, JIT), 21)
QUICK = Effort(5, 0.2, (OURS, FREE, FUSED, SCAN), (OURS, FREE, FUSED), 9)


@dataclass(frozen=True)
class Row:
    """One contender. `difference`: of its losses from ours, the largest of the first 20. `ready`: seconds from its
    start to the end of its first step, others getting ready beside it."""

    contender: str
    threads: int
    timing: Timing
    difference: float
    ready: float = 0.0

    @property
    def void(self) -> bool:
        return not self.difference <= ALLOWED


@dataclass(frozen=True)
class Comparison:
    """`flops`: of the contractions of one step, from the plan; `memory`: contender → most bytes of its process;
    `planned`: bytes of state and values in our plan; `failed`: contender → why it is not here; `pairs`: threads →
    seconds per step of ours and of ours in a free order, measured right after each other."""

    name: str
    flops: int
    rows: tuple[Row, ...]
    memory: Mapping[str, int] = field(default_factory=dict)
    planned: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[int, Sequence[tuple[float, float]]] = field(default_factory=dict)

    def row(self, contender: str, threads: int) -> Row | None:
        return next((r for r in self.rows if (r.contender, r.threads) == (contender, threads)), None)

    def ratios(self, threads: int) -> dict[str, Spread]:
        """Peer → how many of our steps one of its steps takes, over rounds; those that are void have none."""
        ours = self.row(OURS, threads)
        peers = [r for r in self.rows if r.contender not in OWN and r.threads == threads and not r.void]
        return {r.contender: against(r, ours) for r in peers} if ours else {}

    def ratio(self, threads: int) -> Spread | None:
        """The same of the best peer; None where all are void."""
        return min(self.ratios(threads).values(), key=lambda found: found.median, default=None)

    def price(self, threads: int) -> Spread | None:
        """How many times as long as one in a free order our step takes."""
        free, pairs = self.row(FREE, threads), self.pairs.get(threads)
        return quotients(pairs) if pairs and free and not free.void else None

    @property
    def used(self) -> float | None:
        """Our most memory, as a share of what a process may take: a tenth more than is planned, and PROCESS."""
        return self.memory[OURS] / (1.1 * self.planned + PROCESS) if OURS in self.memory else None


def against(peer: Row, ours: Row) -> Spread:
    """Round by round."""
    return quotients(zip(peer.timing.windows, ours.timing.windows, strict=True))


def quotients(pairs: Iterable[tuple[float, float]]) -> Spread:
    return spread(one / other for one, other in pairs)


@dataclass
class Measured:
    """All contenders on one number of threads: a row for each that came so far, and why the others did not."""

    rows: list[Row]
    failed: dict[str, str]
    pairs: list[tuple[float, float]]


def compare(work: Workload, backend: Backend, threads: Sequence[int], effort: Effort, folder: Path) -> Comparison:
    """Measure one workload; `folder`: room for what the contenders are given. Raises ChildProcessError where ours does
    not stay to the end."""
    plan = compile_job(work.job, backend.target)
    session = backend.open(plan, lowered(work.job), threads[-1], folder)
    handing.write(folder, work, plan, begun(session, work.job), work.rows(plan, 0, batch_count(plan)))
    session.close()
    parameters = sum(slot.type.size for slot in work.job.state if slot.kind == "parameter")
    large = parameters > LARGE
    names = effort.large if large else effort.small
    if large:
        effort = replace(effort, windows=min(FEW, effort.windows), pairs=min(FEW_PAIRS, effort.pairs))
    found = {n: measured(names, folder, n, effort, all_losses=n == threads[-1]) for n in threads}
    failed = {name: why for one in found.values() for name, why in one.failed.items()}
    return Comparison(
        work.name,
        of_routine(plan.routine("step")).contractions,
        tuple(row for one in found.values() for row in one.rows),
        memory_of([name for name in (OURS, FUSED) if name not in failed], folder, threads[-1]),
        max(routine.arena for routine in plan.routines),
        failed,
        {n: one.pairs for n, one in found.items()},
    )


def batch_count(plan: Plan) -> int:
    return max(COMPARED, min(MOST, BYTES // max(1, plan.routine("step").feed)))


def opened(name: str, folder: Path, threads: int) -> Child:
    """The contender `name` in its process."""
    words = [sys.executable, "-m", "bench.child", name, str(folder), str(threads)]
    return Child(name, words, folder / f"{name} {threads}.log")


def measured(names: Sequence[str], folder: Path, threads: int, effort: Effort, *, all_losses: bool) -> Measured:
    with ExitStack() as stack:
        children = [stack.enter_context(opened(name, folder, threads)) for name in names]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            ready = dict(zip(names, pool.map(prepared, children), strict=True))
        losses = answers(children, losses=COMPARED if all_losses else 2)
        here = {child.name: child for child in children}
        pairs = in_pairs(here[OURS], here[FREE], effort.pairs, SHORT) if FREE in here else []
        seen = by_turns([c for c in children if c.name != FREE], effort.windows, effort.seconds)
        seen |= {FREE: Timing(tuple(free for _, free in pairs))} if pairs else {}
    failed = {child.name: child.failure for child in children if child.failure is not None}
    if OURS in failed:
        raise ChildProcessError(failed[OURS])
    apart = {name: float(np.abs(np.subtract(found, losses[OURS])).max()) for name, found in losses.items()}
    rows = [Row(name, threads, seen[name], apart[name], ready[name]) for name in names if name in seen]
    return Measured(rows, failed, pairs)


def prepared(child: Child) -> float:
    """Seconds until its first step was done, or until it ended without one."""
    answers([child], losses=1)
    return time.perf_counter() - child.begun


def memory_of(names: Sequence[str], folder: Path, threads: int) -> dict[str, int]:
    """The most that each contender takes over a few steps, alone."""
    found: dict[str, int] = {}
    for name in names:
        with opened(name, folder, threads) as child:
            answers([child], losses=3)
            found |= answers([child], memory=0)
    return found
