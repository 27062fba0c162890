"""`python -m bench.gpu [--quick] [--ours] [--json FILE]`: the figures of a GPU, on the day there is one.

Contraction at 4096³ beside cuBLAS float32 (TF32 off), whole training steps of char_gpt and GPT-2 beside PyTorch, eager
and compiled, on the same batches from the same weights. Medians over windows that alternate; `--ours`: ours alone.
Run `python -m pytest -m gpu` first: these are figures of results that are right.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.passes.tally import of_routine
from jobspec.store.home import Home, open_home

CUBE = "nn 4096x4096x4096"
STEPS = ("char_gpt", "baby_gpt", "gpt2", "gpt2_long")
OURS, CUBLAS = "jobspec", "cuBLAS float32"
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    chosen = parser.parse_args(words)
    windows, seconds = (3, 0.2) if chosen.quick else (7, 1.0)
    try:
        cuda = backend("cuda")
        print(" · ".join([cuda.target.cpu, *(f"{name} {version}" for name, version in cuda.compilers)]))
        found = list(measured(cuda, windows, seconds, not chosen.ours))
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if chosen.json:
        chosen.json.write_text(json.dumps([told(f) for f in found], indent=1) + "\n", "utf-8")
    return 0


def told(finding: Finding) -> dict[str, object]:
    return {"name": finding.name, "flops": finding.flops, "s": {n: t.windows for n, t in finding.timings.items()}}


def measured(cuda: Backend, windows: int, seconds: float, beside: bool) -> Iterator[Finding]:
    """Every finding, printed as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (CUBE, *STEPS):
            try:
                finding = contraction if name == CUBE else training
                result = finding(name, cuda, Path(folder), windows, seconds, beside)
            except Missing as missing:
                print(f"{name} left out: {missing}", file=sys.stderr)
                continue
            print("\n".join(result.lines()), flush=True)
            yield result


def contraction(name: str, cuda: Backend, folder: Path, windows: int, seconds: float, beside: bool) -> Finding:
    """One product of matrices alone."""
    job, values = alone.job_of(name), alone.values(name)
    session, plan = opened(job, cuda, folder)
    for operand, value in values.items():
        session.write(operand, value)
    contenders: dict[str, Contender] = {OURS: Stepping(session, np.zeros((8, plan.routine("step").feed), np.uint8))}
    if beside:
        contenders[CUBLAS] = peers().product_of(values)
    return finished(name, plan, session, contenders, windows, seconds)


def training(name: str, cuda: Backend, folder: Path, windows: int, seconds: float, beside: bool) -> Finding:
    """Whole steps of a job."""
    work = open_workload(name, open_home())
    session, plan = opened(work.job, cuda, folder)
    rows = work.rows(plan, 0, BATCHES)
    contenders: dict[str, Contender] = {OURS: Stepping(session, rows)}
    if beside:
        contenders |= peers().trainers(work, plan, begun(session, work.job), rows)
    return finished(name, plan, session, contenders, windows, seconds)


def opened(job: Job, cuda: Backend, folder: Path) -> tuple[Session, Plan]:
    """A session behind `init`."""
    plan = compile_job(job, cuda.target)
    session = cuda.open(plan, job, 1, Home(folder).folder / "cache")
    begun(session, job)
    return session, plan


def finished(
    name: str, plan: Plan, session: Session, contenders: Mapping[str, Contender], windows: int, seconds: float
) -> Finding:
    try:
        return Finding(name, of_routine(plan.routine("step")).contractions, alternate(contenders, windows, seconds))
    finally:
        session.close()


def peers() -> ModuleType:
    """PyTorch's half, which only those load who ask for it."""
    return import_module("bench.gpu_torch")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
