"""One workload, all contenders, side by side, each in a process of its own.

Takes: a workload, how long to measure. Promises: everyone starts from our initial weights and trains on our batches; a
contender whose first 20 losses are more than 1e-3 from ours is void and takes no part in the ratio. All are there at
once and are timed in turn, window by window; who is not asked is stopped (contenders.py).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench import handing
from bench.contenders import Child, by_turns
from bench.timing import Timing
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
#: from so many parameters on a workload is large: fewer contenders, and so many windows
LARGE, FEW = 4_000_000, 3


@dataclass(frozen=True)
class Effort:
    """How long to measure: windows of about so many seconds; `contenders`: of small workloads, of large ones."""

    windows: int
    seconds: float
    small: tuple[str, ...]
    large: tuple[str, ...]


FULL = Effort(7, 0.4, (OURS, FREE, EAGER, FUSED, COMPILED, JIT, SCAN, TINY), (OURS, FREE, FUSED, COMPILED, JIT))
QUICK = Effort(5, 0.2, (OURS, FREE, FUSED, SCAN), (OURS, FREE, FUSED))


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
    `planned`: bytes of state and values in our plan; `failed`: contender → why it is not here."""

    name: str
    flops: int
    rows: tuple[Row, ...]
    memory: Mapping[str, int] = field(default_factory=dict)
    planned: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)

    def row(self, contender: str, threads: int) -> Row | None:
        return next((r for r in self.rows if (r.contender, r.threads) == (contender, threads)), None)

    def best_peer(self, threads: int) -> Row | None:
        """The fastest of the others on as many threads; None where all are void."""
        peers = [r for r in self.rows if r.contender not in OWN and r.threads == threads and not r.void]
        return min(peers, key=lambda r: r.timing.median, default=None)

    def ratio(self, threads: int) -> float | None:
        """How many of our steps the best peer's one step takes."""
        peer, ours = self.best_peer(threads), self.row(OURS, threads)
        return peer.timing.median / ours.timing.median if peer and ours else None

    def price(self, threads: int) -> float | None:
        """How much longer our step takes than one in a free order, as a share."""
        free, ours = self.row(FREE, threads), self.row(OURS, threads)
        return ours.timing.median / free.timing.median - 1 if free and ours and not free.void else None


def compare(work: Workload, backend: Backend, threads: Sequence[int], effort: Effort, folder: Path) -> Comparison:
    """Measure one workload; `folder`: room for what the contenders are given."""
    plan = compile_job(work.job, backend.target)
    session = backend.open(plan, lowered(work.job), threads[-1], folder)
    handing.write(folder, work, plan, begun(session, work.job), work.rows(plan, 0, batch_count(plan)))
    session.close()
    parameters = sum(slot.type.size for slot in work.job.state if slot.kind == "parameter")
    large = parameters > LARGE
    names = effort.large if large else effort.small
    effort = replace(effort, windows=min(FEW, effort.windows)) if large else effort
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for count in threads:
        more, lost = measured(names, folder, count, effort, all_losses=count == threads[-1])
        rows, failed = rows + more, failed | lost
    memory = {name: memory_of(name, folder, threads[-1]) for name in (OURS, FUSED) if name not in failed}
    planned = max(routine.arena for routine in plan.routines)
    return Comparison(work.name, of_routine(plan.routine("step")).contractions, tuple(rows), memory, planned, failed)


def batch_count(plan: Plan) -> int:
    return max(COMPARED, min(MOST, BYTES // max(1, plan.routine("step").feed)))


def opened(name: str, folder: Path, threads: int) -> Child:
    """The contender `name` in its process."""
    words = [sys.executable, "-m", "bench.child", name, str(folder), str(threads)]
    return Child(name, words, folder / f"{name} {threads}.log")


def measured(
    names: Sequence[str], folder: Path, threads: int, effort: Effort, *, all_losses: bool
) -> tuple[list[Row], dict[str, str]]:
    """A row for each contender that came so far; why the others did not."""
    with ExitStack() as stack:
        children = [stack.enter_context(opened(name, folder, threads)) for name in names]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(names, pool.map(prepared, children), strict=True))
        failed = {name: error for name, error in found.items() if isinstance(error, str)}
        here = [child for child in children if child.name not in failed]
        ready = {name: seconds for name, seconds in found.items() if isinstance(seconds, float)}
        losses = {child.name: np.array(child.ask(losses=COMPARED if all_losses else 2)) for child in here}
        seen = by_turns(here, effort.windows, effort.seconds)
    apart = {name: float(np.abs(found - losses[OURS]).max()) for name, found in losses.items()}
    rows = [Row(name, threads, timing, apart[name], ready[name]) for name, timing in seen.items()]
    return rows, failed


def prepared(child: Child) -> float | str:
    """Seconds until its first step was done, or why there was none."""
    try:
        child.ask(losses=1)
    except ChildProcessError as error:
        return str(error)
    return time.perf_counter() - child.begun


def memory_of(name: str, folder: Path, threads: int) -> int:
    """The most that the contender takes over a few steps, alone."""
    with opened(name, folder, threads) as child:
        child.ask(losses=3)
        return int(child.ask(memory=0))
