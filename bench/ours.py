"""`python -m bench --ours NAME…`: our own step alone, with the share of the machine's limits that each kernel reaches.

Takes: workloads by name, of whole jobs or of kernels alone. Promises: the time of a step as a session runs it, on each
number of threads, the median over windows; below it the dearest kernels, timed where they stand on one thread, each
against the peak of multiply-adds measured at the start.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import alone
from bench.machine import bandwidth, peak
from bench.timing import Timing, alternate
from bench.workloads import JOBS, Array, begun, open_workload
from jobspec.backends.llvm import stepper
from jobspec.backends.registry import Backend
from jobspec.backends.session import Session
from jobspec.ir.job import Job
from jobspec.passes.pipeline import compile_job, compile_traced
from jobspec.runtime.batches import Rows
from jobspec.runtime.profile import Profile, Row, profile, shape_of
from jobspec.store.home import Home

WINDOWS, SECONDS, STEPS, LISTED = 7, 0.3, 10, 25


@dataclass(frozen=True)
class Subject:
    """What is timed: a job, its batches, and tensors that are written into its state behind `init`."""

    name: str
    job: Job
    rows: Rows
    written: Mapping[str, Array]


def subject(name: str, home: Home, backend: Backend) -> Subject:
    """The workload `name`. Raises Missing, KeyError."""
    if name not in JOBS:
        return Subject(name, alone.job_of(name), np.zeros((64, 64), np.uint8)[:, :0], alone.values(name))
    work = open_workload(name, home)
    return Subject(name, work.job, work.rows(compile_job(work.job, backend.target), 0, 8), {})


@dataclass(frozen=True)
class Stepping:
    """A session as a contender of timing.py; its state is not put back."""

    session: Session
    rows: Rows

    def reset(self) -> None:
        pass

    def run(self, steps: int) -> None:
        for first in range(0, steps, len(self.rows)):
            outcome = self.session.run("step", 0, self.rows[: steps - first])
            assert not outcome.flags, outcome.flags


def opened(name: str, threads: int, backend: Backend, folder: Path) -> tuple[Session, Rows]:
    """A kernel alone in a session, its operands written."""
    job = alone.job_of(name)
    session = backend.open(compile_job(job, backend.target), job, threads, folder)
    begun(session, job)
    for operand, value in alone.values(name).items():
        session.write(operand, value)
    return session, np.zeros((64, 64), np.uint8)[:, :0]


def report(name: str, threads: Sequence[int], backend: Backend, steps: int = STEPS) -> Iterator[str]:
    """Lines about one workload."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = subject(name, Home(Path(folder)), backend)
        found, timings = profiled(chosen, backend, steps), timed(chosen, threads, backend, Path(folder))
    peaks = {n: peak(n, backend.target) for n in threads}
    yield from heading(chosen, found, timings, peaks)
    yield f"{'ms':>9} {'share':>6} {'calls':>5} {'GFLOP/s':>8} {'peak':>5} {'GB/s':>6}  kernel"
    for row in found.rows[:LISTED]:
        yield line(row, found, peaks[threads[0]])


def heading(
    chosen: Subject, found: Profile, timings: Mapping[int, Timing], peaks: Mapping[int, float]
) -> Iterator[str]:
    flop = sum(row.work.contractions for row in found.rows)
    for threads, timing in timings.items():
        ms = f"{timing.median * 1e3:.4g} ({timing.low * 1e3:.4g}–{timing.high * 1e3:.4g})"
        speed, limit = flop / timing.median / 1e9, peaks[threads]
        reached = f"{speed:.1f} GFLOP/s in contractions, {speed / limit:.1%} of the peak of {limit:.0f}"
        if chosen.name in alone.KERNELS:
            traffic = alone.traffic(chosen.name)
            moved, limit = traffic.moved / timing.median / 1e9, bandwidth(traffic, threads)
            reached = f"{moved:.1f} GB/s, {moved / limit:.1%} of {limit:.1f}"
        yield f"{chosen.name}, {threads} thread{'s' if threads > 1 else ''}: {ms} ms a step; {reached}"


def timed(chosen: Subject, threads: Sequence[int], backend: Backend, cache: Path) -> dict[int, Timing]:
    plan = compile_job(chosen.job, backend.target)
    sessions = {n: backend.open(plan, chosen.job, n, cache) for n in threads}
    for session in sessions.values():
        begun(session, chosen.job)
        for name, value in chosen.written.items():
            session.write(name, value)
    contenders = {str(n): Stepping(session, chosen.rows) for n, session in sessions.items()}
    timings = alternate(contenders, WINDOWS, SECONDS)
    for session in sessions.values():
        session.close()
    return {n: timings[str(n)] for n in threads}


def profiled(chosen: Subject, backend: Backend, steps: int) -> Profile:
    """Kernel by kernel."""
    plan, origins = compile_traced(chosen.job, backend.target)
    running = stepper.begun(plan, "step", chosen.rows[0])
    for name, number in running.routine.slots:
        if name in chosen.written:
            running.bytes_of(number)[:] = chosen.written[name].reshape(-1).view(np.uint8)
    found = profile(running, origins.get("step", {}), steps)
    running.close()
    return found


def line(row: Row, found: Profile, limit: float) -> str:
    speed = row.work.contractions / row.seconds / 1e9 if row.seconds else 0.0
    reached = f"{speed:8.1f} {speed / limit:5.0%}" if speed else " " * 14
    choices = " ".join(f"{k}={v}" for k, v in found.routine.schedules[row.number].choices if v)
    where = f"line {row.place[0]}" if row.place else ""
    name = f"#{row.number} {row.kernel.kind} {row.kernel.name} ({shape_of(row.kernel)}) {choices} {where}"
    share = f"{row.seconds * 1e3:9.4f} {row.seconds / found.seconds:6.1%} {row.calls:5}"
    return f"{share} {reached} {row.bandwidth / 1e9:6.1f}  {name}"
