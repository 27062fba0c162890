"""`python -m bench.gpu [NAME…] [--quick] [--ours] [--tune] [--json FILE] [--minutes N]`: the figures of a GPU.

Contraction at 4096³ beside cuBLAS float32 (TF32 off), whole training steps of char_gpt and GPT-2 beside PyTorch, eager
and compiled, on the same batches from the same weights; each beside our own kernels in a free order (the price of
exactness). A GPT of 162 million parameters, beside what mojolearn publishes. Then the same by matrix instructions
(`fast NAME`: `compute = fast`) beside bfloat16. Medians over windows that alternate; `--ours`: without PyTorch;
`--tune`: with the schedules that are fastest here; `--on cuda.sm_90a`: by `wgmma` (docs/numerics.md 5.10). FILE is
written after each finding, its tables beside it (gpu_record.py), and what is in it is not measured again: the same
command goes on where a time limit cut it off, with the code that it had compiled. Run `python -m pytest -m gpu` first:
these are figures of results that are right.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import alone, free_order_c
from bench.data import Missing
from bench.gpu_record import FREE, OURS, Record
from bench.ours import Stepping
from bench.timing import Contender, Timing, alternate
from bench.workloads import Workload, begun, fields_of, open_workload, state_of
from jobspec.backends.cuda import admission
from jobspec.backends.registry import CUDA_ASIDE, Backend, backend
from jobspec.backends.session import Session
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.passes.tally import of_routine
from jobspec.runtime.tune import tune
from jobspec.runtime.tuning import key_of, tuned
from jobspec.store.home import open_home

CUBE = "nn 4096x4096x4096"
FAST = "fast "
CLASSES = ("cuda", CUDA_ASIDE)
#: tokens a second that others publish for a model of this size in exact float32, and where
PUBLISHED = {"gpt_162m": (12_390, "mojolearn on an H100")}
#: what is asked for first, first
ALL = (CUBE, "gpt2_full", "char_gpt", FAST + "gpt2_full", "gpt_162m", FAST + CUBE, "baby_gpt")
ALL += (FAST + "char_gpt", FAST + "baby_gpt", FAST + "gpt_162m")
#: schedules of a kernel that `--tune` tries unless it is told how many, and how often
CANDIDATES, ROUNDS = 4, 5
#: batches that are gone round
BATCHES = 20
Array = NDArray[Any]


@dataclass(frozen=True)
class Finding:
    """Seconds per step by contender; `flops`: of a step's contractions; `tokens`: that a step trains on, or 0."""

    name: str
    flops: int
    timings: Mapping[str, Timing]
    tokens: int = 0

    def lines(self) -> Iterator[str]:
        ours = self.timings[OURS].median
        for name, timing in self.timings.items():
            rate = self.flops / timing.median / 1e12
            spread = f"{timing.low * 1e3:.3f}–{timing.high * 1e3:.3f}"
            yield f"{self.name:<20} {name:<16} {timing.median * 1e3:9.3f} ms ({spread})  {rate:7.2f} TFLOP/s" + (
                "" if name == OURS else f"  ours: {timing.median / ours:.2f}×"
            )
        if FREE in self.timings:
            yield f"{self.name:<20} price of exactness {ours / self.timings[FREE].median - 1:+.1%}"
        if self.tokens:
            yield f"{self.name:<20} {self.tokens / ours:,.0f} tokens/s" + self._beside(self.tokens / ours)

    def told(self) -> dict[str, Any]:
        """Every window of every contender; the first is ours."""
        seconds = {name: timing.windows for name, timing in self.timings.items()}
        return {"flops": self.flops, "tokens": self.tokens, "s": seconds, "lines": list(self.lines())}

    def _beside(self, rate: float) -> str:
        """What others publish."""
        published, where = PUBLISHED.get(self.name, (0, ""))
        return f"; {where}: {published:,}, ours: {rate / published:.2f}×" if published else ""


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=ALL, help=f"of {', '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="few short windows")
    parser.add_argument("--ours", action="store_true", help="without PyTorch beside it")
    parser.add_argument("--tune", action="store_true", help="measure schedules first, and take the fastest")
    parser.add_argument("--on", choices=CLASSES, default=CLASSES[0], help="the class of devices that `fast` is of")
    parser.add_argument(
        "--candidates", type=int, default=CANDIDATES, metavar="N", help="schedules of a kernel that --tune tries"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write everything there, and tables to FILE.md; what it has is left out",
    )
    parser.add_argument("--minutes", type=float, default=inf, metavar="N", help="begin nothing after that")
    chosen = parser.parse_args(words)
    windows, seconds = (3, 0.2) if chosen.quick else (7, 1.0)
    try:
        cuda = backend(chosen.on)
        how = How(cuda, windows, seconds, not chosen.ours, chosen.candidates if chosen.tune else 0)
        device = " · ".join([admission.chosen().name, *(f"{what} {version}" for what, version in cuda.compilers)])
        print(device, flush=True)
        setting = ", ".join([chosen.on, *(["tuned"] if chosen.tune else [])])
        recorded(how, chosen.names, Record.of(chosen.json, device, setting), chosen.minutes)
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def recorded(how: How, names: Sequence[str], record: Record, minutes: float) -> None:
    """What of `names` the record has not, as long as there is time."""
    until = time.monotonic() + 60 * minutes
    for finding in measured(how, [n for n in names if n not in record.names], lambda: time.monotonic() < until):
        record.add(finding.name, finding.told())


@dataclass(frozen=True)
class How:
    """How to measure. `beside`: PyTorch too; `tune`: so many of our schedules of each kernel are measured first."""

    cuda: Backend
    windows: int
    seconds: float
    beside: bool
    tune: int = 0


def measured(how: How, names: Sequence[str], more: Callable[[], bool] = lambda: True) -> Iterator[Finding]:
    """Every finding, printed as it comes, as long as there is time for `more`."""
    for name in names:
        if not more():
            print(f"{name} left out: no time is left; the same command goes on with it", file=sys.stderr)
            continue
        try:
            finding = contraction if name.removeprefix(FAST).split()[0] in alone.LAYOUTS else training
            result = finding(name, how, open_home().cache)
        except (Missing, JobspecError) as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        print("\n".join(result.lines()), flush=True)
        yield result


def contraction(name: str, how: How, cache: Path) -> Finding:
    """One product of matrices alone; `fast` rounds its operands in the step."""
    shape = name.removeprefix(FAST)
    job, values = computing(name, alone.job_of(shape)), alone.values(shape)
    plan = compile_job(job, how.cuda.target)
    rows = np.zeros((8, plan.routine("step").feed), np.uint8)
    plan = fastest(plan, how, rows[0]) if how.tune else plan
    sessions = begun_each(name, job, plan, how, rows, cache)
    for session in sessions.values():
        for operand, value in values.items():
            session.write(operand, value)
    beside = theirs(lambda peers: peers.product_of(values, name.startswith(FAST))) if how.beside else {}
    return finished(name, plan, sessions, rows, beside, how)


def training(name: str, how: How, cache: Path) -> Finding:
    """Whole steps of a job."""
    work = open_workload(name.removeprefix(FAST), open_home())
    work = replace(work, job=computing(name, work.job))
    plan = compile_job(work.job, how.cuda.target)
    rows = work.rows(plan, 0, BATCHES)
    plan = fastest(plan, how, rows[0]) if how.tune else plan
    sessions = begun_each(name, work.job, plan, how, rows, cache)
    beside: Mapping[str, Contender] = {}
    if how.beside and name.removeprefix(FAST) not in PUBLISHED:
        state = state_of(sessions[OURS], work.job)
        beside = theirs(lambda peers: peers.trainers(work, plan, state, rows, name.startswith(FAST)))
    return finished(name, plan, sessions, rows, beside, how, tokens_of(work, plan, rows[0]))


def computing(name: str, job: Job) -> Job:
    """The job as it would be with `compute = fast`, where the name says so."""
    return replace(job, profile=FAST_PROFILE) if name.startswith(FAST) else job


def begun_each(name: str, job: Job, plan: Plan, how: How, rows: Array, cache: Path) -> dict[str, Session]:
    """A session behind `init`, and one of the same plan in a free order, which compiles its step first."""
    sessions = {OURS: how.cuda.open(plan, job, 1, cache)}
    begun(sessions[OURS], job)
    if not name.startswith(FAST):
        with free_order_c.taken():
            sessions[FREE] = how.cuda.open(plan, job, 1, cache)
            begun(sessions[FREE], job)
            sessions[FREE].run("step", 0, rows[:1])
    return sessions


def tokens_of(work: Workload, plan: Plan, row: Array) -> int:
    """Of a batch; 0 where it has none."""
    return sum(value.size for name, value in fields_of(work.job, plan.routine("step"), row).items() if name == "tok")


def fastest(plan: Plan, how: How, row: Array) -> Plan:
    """The plan with the schedules of its step that are fastest here."""
    assert how.cuda.stepper is not None
    stepper = how.cuda.stepper(plan, "step", row)
    try:
        found = {key_of(t.kernel, plan.target): t.schedule for t in tune(stepper, plan.target, how.tune, ROUNDS)}
    finally:
        stepper.close()
    return tuned(plan, lambda kernel, target: found.get(key_of(kernel, target)))


def finished(
    name: str,
    plan: Plan,
    sessions: Mapping[str, Session],
    rows: Array,
    beside: Mapping[str, Contender],
    how: How,
    tokens: int = 0,
) -> Finding:
    flops = of_routine(plan.routine("step")).contractions
    contenders = {name: Stepping(session, rows) for name, session in sessions.items()}
    try:
        return Finding(name, flops, alternate({**contenders, **beside}, how.windows, how.seconds), tokens)
    finally:
        for session in sessions.values():
            session.close()


def theirs(made: Callable[[ModuleType], Mapping[str, Contender]]) -> Mapping[str, Contender]:
    """Contenders of PyTorch, which only those load who ask for it; none where there is none, and a word about it."""
    try:
        return made(import_module("bench.gpu_torch"))
    except (ImportError, RuntimeError) as error:
        print(f"PyTorch left out: {error}", file=sys.stderr)
        return {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
