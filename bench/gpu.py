"""`python -m bench.gpu [--quick] [--ours] [--tune] [--json FILE]`: the figures of a GPU, on the day there is one.

Contraction at 4096³ beside cuBLAS float32 (TF32 off), whole training steps of char_gpt and GPT-2 beside PyTorch, eager
and compiled, on the same batches from the same weights; then the same by matrix instructions (`compute = fast`) beside
bfloat16. Medians over windows that alternate; `--ours`: ours alone; `--tune`: with the schedules that are
fastest here. Run `python -m pytest -m gpu` first: these are figures of results that are right.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import alone
from bench.data import Missing
from bench.ours import Stepping
from bench.timing import Contender, Timing, alternate
from bench.workloads import begun, open_workload
from jobspec.backends.registry import Backend, backend
from jobspec.backends.session import Session
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.passes.tally import of_routine
from jobspec.runtime.tune import tune
from jobspec.runtime.tuning import key_of, tuned
from jobspec.store.home import Home, open_home

CUBE = "nn 4096x4096x4096"
STEPS = ("char_gpt", "baby_gpt", "gpt2", "gpt2_long")
FAST = "fast "
OURS = "jobspec"
#: schedules of a kernel that `--tune` tries, and how often
CANDIDATES, ROUNDS = 12, 5
#: batches that are gone round
BATCHES = 20
Array = NDArray[Any]


@dataclass(frozen=True)
class Finding:
    """Seconds per step by contender; `flops`: of a step's contractions."""

    name: str
    flops: int
    timings: Mapping[str, Timing]

    def lines(self) -> Iterator[str]:
        ours = self.timings[OURS].median
        for name, timing in self.timings.items():
            rate = self.flops / timing.median / 1e12
            spread = f"{timing.low * 1e3:.3f}–{timing.high * 1e3:.3f}"
            yield f"{self.name:<20} {name:<16} {timing.median * 1e3:9.3f} ms ({spread})  {rate:7.2f} TFLOP/s" + (
                "" if name == OURS else f"  ours: {timing.median / ours:.2f}×"
            )


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few short windows")
    parser.add_argument("--ours", action="store_true", help="without PyTorch beside it")
    parser.add_argument("--tune", action="store_true", help="measure schedules first, and take the fastest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    chosen = parser.parse_args(words)
    windows, seconds = (3, 0.2) if chosen.quick else (7, 1.0)
    try:
        cuda = backend("cuda")
        how = How(cuda, windows, seconds, not chosen.ours, chosen.tune)
        print(" · ".join([cuda.target.cpu, *(f"{name} {version}" for name, version in cuda.compilers)]))
        found = list(measured(how))
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if chosen.json:
        chosen.json.write_text(json.dumps([told(f) for f in found], indent=1) + "\n", "utf-8")
    return 0


def told(finding: Finding) -> dict[str, object]:
    return {"name": finding.name, "flops": finding.flops, "s": {n: t.windows for n, t in finding.timings.items()}}


@dataclass(frozen=True)
class How:
    """How to measure. `beside`: PyTorch too; `tune`: our schedules are measured first."""

    cuda: Backend
    windows: int
    seconds: float
    beside: bool
    tune: bool = False


def measured(how: How) -> Iterator[Finding]:
    """Every finding, printed as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (*(CUBE, *STEPS), *(FAST + name for name in (CUBE, *STEPS))):
            try:
                finding = contraction if name.endswith(CUBE) else training
                result = finding(name, how, Path(folder))
            except Missing as missing:
                print(f"{name} left out: {missing}", file=sys.stderr)
                continue
            print("\n".join(result.lines()), flush=True)
            yield result


def contraction(name: str, how: How, folder: Path) -> Finding:
    """One product of matrices alone; `fast` rounds its operands in the step."""
    shape = name.removeprefix(FAST)
    job, values = computing(name, alone.job_of(shape)), alone.values(shape)
    plan = compile_job(job, how.cuda.target)
    rows = np.zeros((8, plan.routine("step").feed), np.uint8)
    session, plan = opened(job, plan, how, rows, folder)
    for operand, value in values.items():
        session.write(operand, value)
    contenders: dict[str, Contender] = {OURS: Stepping(session, rows)}
    if how.beside:
        contenders |= peers().product_of(values, name.startswith(FAST))
    return finished(name, plan, session, contenders, how)


def training(name: str, how: How, folder: Path) -> Finding:
    """Whole steps of a job."""
    work = open_workload(name.removeprefix(FAST), open_home())
    work = replace(work, job=computing(name, work.job))
    plan = compile_job(work.job, how.cuda.target)
    rows = work.rows(plan, 0, BATCHES)
    session, plan = opened(work.job, plan, how, rows, folder)
    contenders: dict[str, Contender] = {OURS: Stepping(session, rows)}
    if how.beside:
        contenders |= peers().trainers(work, plan, begun(session, work.job), rows, name.startswith(FAST))
    return finished(name, plan, session, contenders, how)


def computing(name: str, job: Job) -> Job:
    """The job as it would be with `compute = fast`, where the name says so."""
    return replace(job, profile=FAST_PROFILE) if name.startswith(FAST) else job


def opened(job: Job, plan: Plan, how: How, rows: Array, folder: Path) -> tuple[Session, Plan]:
    """A session behind `init`, and the plan that it runs."""
    plan = fastest(plan, how.cuda, rows[0]) if how.tune else plan
    session = how.cuda.open(plan, job, 1, Home(folder).folder / "cache")
    begun(session, job)
    return session, plan


def fastest(plan: Plan, cuda: Backend, row: Array) -> Plan:
    """The plan with the schedules of its step that are fastest here."""
    assert cuda.stepper is not None
    stepper = cuda.stepper(plan, "step", row)
    try:
        found = {key_of(t.kernel, plan.target): t.schedule for t in tune(stepper, plan.target, CANDIDATES, ROUNDS)}
    finally:
        stepper.close()
    return tuned(plan, lambda kernel, target: found.get(key_of(kernel, target)))


def finished(name: str, plan: Plan, session: Session, contenders: Mapping[str, Contender], how: How) -> Finding:
    flops = of_routine(plan.routine("step")).contractions
    try:
        return Finding(name, flops, alternate(contenders, how.windows, how.seconds))
    finally:
        session.close()


def peers() -> ModuleType:
    """PyTorch's half, which only those load who ask for it."""
    return import_module("bench.gpu_torch")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
