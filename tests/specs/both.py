"""Short jobs trained by the reference and natively, for words of the language that no spec uses.

Takes: the text of a job whose data set is `made`. Promises: states, reports and metrics of a few steps, which the
caller compares; the data (x f32[X], y u8 below 4) are made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.workloads import Workload, begun, of_spec, state_of
from jobspec.backends.llvm import engine
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.machine import host
from jobspec.backends.reference.session import ReferenceSession
from jobspec.backends.session import Session
from jobspec.ir.plan import Plan
from jobspec.ir.target import Target
from jobspec.loading import text_spec
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.engine import lowered
from jobspec.store.home import Home
from jobspec.store.shards import write_table

Bits = dict[str, bytes]
ROWS = 60


@dataclass(frozen=True)
class Trained:
    """State after the last step and metrics of the first batch of the first evaluation, as bytes; losses."""

    state: Bits
    metrics: bytes
    losses: list[float]
    tensors: dict[str, np.ndarray]


def workload(text: str, folder: Path, width: int) -> Workload:
    """The job of `text`, in which DATA stands for the declaration of a table `d` made here."""
    home = Home(folder)
    return of_spec("made", text_spec(completed(text, home, width), {}, home), home)


def completed(text: str, home: Home, width: int) -> str:
    """`text` with its data, which is in the store then."""
    random = np.random.default_rng(5)
    x = random.standard_normal((ROWS, width)).astype(np.float32)
    y = (np.abs(x).sum(1) * 2).astype(np.int64) % 4
    root = write_table(home.data(), {"x": x, "y": y.astype("u1")}).root
    return text.replace("DATA", f"data d = table({root}, x=f32[X], y=u8)")


def by_reference(work: Workload, steps: int) -> Trained:
    plan = compile_job(work.job, Target("reference"))
    return trained(ReferenceSession(plan, lowered(work.job)), work, plan, steps)


def on_session(session: Session, work: Workload, plan: Plan, steps: int) -> Trained:
    """On a device; the session is closed."""
    try:
        return trained(session, work, plan, steps)
    finally:
        session.close()


def same(found: Trained, wanted: Trained) -> None:
    assert found.state == wanted.state
    assert found.losses == wanted.losses and found.metrics == wanted.metrics


def natively(work: Workload, steps: int, threads: int = 2) -> Trained:
    plan = compile_job(work.job, host(), checked=True)
    return on_session(engine.LlvmSession(plan, threads, Compiler(host(), 2)), work, plan, steps)


def trained(session: Session, work: Workload, plan: Plan, steps: int) -> Trained:
    begun(session, work.job)
    outcome = session.run("step", 0, work.rows(plan, 0, steps))
    assert outcome.flags == ()
    state = state_of(session, work.job)
    metrics = b""
    if work.job.evaluations:
        routine = work.job.evaluations[0].name
        rows = np.zeros((1, plan.routine(routine).feed), np.uint8)
        metrics = session.run(routine, 3, rows).reports.tobytes()
    return Trained({k: x.tobytes() for k, x in state.items()}, metrics, outcome.reports[:, 0].tolist(), state)
