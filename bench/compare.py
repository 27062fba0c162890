"""One workload, all contenders, side by side.

Takes: a workload, how long to measure. Promises: everyone starts from our initial weights and trains on our batches; a
contender whose first 20 losses are more than 1e-3 from ours is void and takes no part in the ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.contenders import Bench, Ours, Theirs
from bench.timing import Timing, alternate
from bench.torch_models import model_of
from bench.torch_trainer import COMPILED, EAGER, FUSED, Trainer, torch_batch
from bench.workloads import Array, Workload, begun, fields_of, of_kind
from jobspec.backends.registry import Backend
from jobspec.backends.session import Session
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.passes.tally import of_routine
from jobspec.runtime.batches import Rows
from jobspec.runtime.engine import lowered

OURS = "jobspec"
#: steps whose losses are compared, and the largest difference that counts as the same training
COMPARED, ALLOWED = 20, 1e-3
#: batches that are gone round: up to so many, or so many bytes
MOST, BYTES = 200, 4 << 20


@dataclass(frozen=True)
class Effort:
    """How long to measure. `variants`: of PyTorch."""

    windows: int
    seconds: float
    variants: tuple[str, ...]


FULL = Effort(11, 1.0, (EAGER, FUSED, COMPILED))
QUICK = Effort(5, 0.3, (EAGER, FUSED))


@dataclass(frozen=True)
class Row:
    """One contender. `difference`: of its losses from ours, the largest of the first 20."""

    contender: str
    threads: int
    timing: Timing
    difference: float

    @property
    def void(self) -> bool:
        return not self.difference <= ALLOWED


@dataclass(frozen=True)
class Comparison:
    """`flops`: of the contractions of one step, from the plan."""

    name: str
    flops: int
    rows: tuple[Row, ...]

    def row(self, contender: str, threads: int) -> Row:
        return next(r for r in self.rows if (r.contender, r.threads) == (contender, threads))

    def best_peer(self, threads: int) -> Row | None:
        """The fastest of the others on as many threads; None where all are void."""
        peers = [r for r in self.rows if r.contender != OURS and r.threads == threads and not r.void]
        return min(peers, key=lambda r: r.timing.median, default=None)

    def ratio(self, threads: int) -> float | None:
        """How many of our steps the best peer's one step takes."""
        peer = self.best_peer(threads)
        return peer.timing.median / self.row(OURS, threads).timing.median if peer else None


def compare(work: Workload, backend: Backend, threads: Sequence[int], effort: Effort, cache: Path) -> Comparison:
    """Measure one workload."""
    # compiled code of PyTorch is made for a number of threads; what it keeps on disk might be for another
    torch.compiler.config.force_disable_caches = True
    plan = compile_job(work.job, backend.target)
    sessions = {n: backend.open(plan, lowered(work.job), n, cache) for n in threads}
    initial = begun(sessions[threads[0]], work.job)
    rows = work.rows(plan, 0, batch_count(plan))
    everyone = dict(contenders(work, plan, sessions, initial, rows, effort))
    differences = differences_of({key: bench.losses(COMPARED) for key, bench in everyone.items()}, threads[0])
    timings = alternate({label(key): bench for key, bench in everyone.items()}, effort.windows, effort.seconds)
    for session in sessions.values():
        session.close()
    found = (Row(*key, timings[label(key)], differences[key]) for key in everyone)
    return Comparison(work.name, of_routine(plan.routine("step")).contractions, tuple(found))


def batch_count(plan: Plan) -> int:
    return max(COMPARED, min(MOST, BYTES // plan.routine("step").feed))


def contenders(
    work: Workload,
    plan: Plan,
    sessions: Mapping[int, Session],
    initial: Mapping[str, Array],
    rows: Rows,
    effort: Effort,
) -> Iterator[tuple[tuple[str, int], Bench]]:
    """(name, threads) and who it is."""
    weights, statistics = of_kind(initial, work.job, "parameter"), of_kind(initial, work.job, "layer")
    batches = [torch_batch(fields_of(work.job, plan.routine("step"), row)) for row in rows]
    for threads, session in sessions.items():
        yield (OURS, threads), Ours(session, initial, rows)
        for variant in effort.variants:
            trainer = Trainer(model_of(work.name, weights), weights, statistics, work.job.steps, variant)
            yield (variant, threads), Theirs(trainer, batches, threads)


def differences_of(losses: Mapping[tuple[str, int], NDArray[np.float64]], threads: int) -> dict[tuple[str, int], float]:
    ours = losses[OURS, threads]
    return {key: float(np.abs(found - ours).max()) for key, found in losses.items()}


def label(key: tuple[str, int]) -> str:
    return f"{key[0]}, {key[1]}"
