"""Where the time of a step goes: each kernel timed where it stands, on one thread.

    python -m bench.profile JOB [--steps N] [--kernels N]

Takes: a job of specs/ whose data are in the store. Promises: a table of kernels by their share of the step, in
processor time, with GFLOP/s of contractions and GB/s of the bytes that a kernel must touch at least; with
`--kernels N`, the text of the N dearest.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.machine import peak
from bench.stepper import Stepper
from bench.workloads import Workload, open_workload
from jobspec.backends.llvm.machine import host
from jobspec.ir.contraction import multiplications
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.kernel_text import print_kernel
from jobspec.ir.plan import Barrier, Buffer, Call, Plan, Routine, Steps
from jobspec.ir.types import DTYPES
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import open_home

#: steps before the first that counts
WARM_UP = 2
Seconds = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Row:
    """One kernel of a routine, all its calls of a step together. `seconds`: median over steps; `low`: the least."""

    number: int
    kernel: Kernel
    calls: int
    seconds: float
    low: float
    flops: int
    bytes: int


def rows_of(stepper: Stepper, first: int, steps: int) -> list[Row]:
    """Every kernel, dearest first, over `steps` steps from step `first` on. The batch is what lies in the feed."""
    runs = [stepper.step(first + i) for i in range(steps)]
    calls = call_counts(stepper.routine.steps, len(stepper.routine.kernels))
    rows = [row(stepper.routine, k, calls[k], runs) for k in range(len(calls))]
    return sorted(rows, key=lambda r: -r.seconds)


def row(routine: Routine, number: int, calls: int, runs: Sequence[Seconds]) -> Row:
    kernel, times = routine.kernels[number], [sum(run[number]) for run in runs]
    work, moved = calls * flops(kernel), calls * least_bytes(kernel, routine.buffers)
    return Row(number, kernel, calls, statistics.median(times), min(times), work, moved)


def call_counts(steps: Steps, kernels: int) -> list[int]:
    """How often a step calls each kernel."""
    counts = [0] * kernels
    for step in steps:
        if isinstance(step, Call):
            counts[step.kernel] += 1
        elif not isinstance(step, Barrier):
            inner = call_counts(step.steps, kernels)
            counts = [a + step.count * b for a, b in zip(counts, inner, strict=True)]
    return counts


def flops(kernel: Kernel) -> int:
    """Two operations per multiply-add of a contraction; other work is not counted."""
    return 2 * multiplications(kernel)


def step_flops(plan: Plan, routine: str = "step") -> int:
    """What the contractions of one step take."""
    chosen = plan.routine(routine)
    calls = call_counts(chosen.steps, len(chosen.kernels))
    return sum(n * flops(k) for n, k in zip(calls, chosen.kernels, strict=True))


def least_bytes(kernel: Kernel, buffers: Sequence[Buffer]) -> int:
    """Bytes of the elements that one call names: each buffer once for reading, once for writing."""
    touched: dict[tuple[int, bool], int] = {}
    for view, written in kernel.views():
        key = (view.buffer, written)
        most = buffers[view.buffer].type.nbytes
        size = DTYPES[buffers[view.buffer].type.dtype] * elements(kernel, view)
        touched[key] = min(most, max(touched.get(key, 0), size))
    return sum(touched.values())


def elements(kernel: Kernel, view: View) -> int:
    return math.prod(axis.size for axis, stride in zip(kernel.axes, view.strides, strict=True) if stride)


def table(rows: Sequence[Row], routine: Routine) -> str:
    """One line per kernel."""
    whole = sum(r.seconds for r in rows)
    head = f"{'µs':>9} {'least':>9} {'share':>6} {'calls':>5} {'GFLOP/s':>8} {'GB/s':>6}  kernel"
    return "\n".join([head, *(line(r, routine, whole) for r in rows)])


def line(r: Row, routine: Routine, whole: float) -> str:
    speed = f"{r.flops / r.seconds / 1e9:8.1f}" if r.flops and r.seconds else " " * 8
    moved = f"{r.bytes / r.seconds / 1e9:6.1f}" if r.seconds else " " * 6
    axes = " ".join(f"{axis.role}:{axis.size}" for axis in r.kernel.axes)
    choices = " ".join(f"{k}={v}" for k, v in routine.schedules[r.number].choices if v)
    time = f"{r.seconds * 1e6:9.1f} {r.low * 1e6:9.1f} {r.seconds / whole:6.1%}"
    return f"{time} {r.calls:5} {speed} {moved}  #{r.number} {r.kernel.kind} {r.kernel.name} ({axes}) {choices}"


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile")
    parser.add_argument("job", help="a job of specs/, its data in the store")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="steps to time (default 20)")
    parser.add_argument("--kernels", type=int, default=0, metavar="N", help="print the text of the N dearest kernels")
    chosen = parser.parse_args(words)
    stepper = begun(open_workload(chosen.job, open_home()))
    rows = rows_of(stepper, WARM_UP, chosen.steps)
    print("\n".join([summary(rows), table(rows, stepper.routine)]))
    for r in rows[: chosen.kernels]:
        print("\n" + print_kernel(r.kernel, stepper.routine.buffers))
    return 0


def begun(work: Workload) -> Stepper:
    """The training step, its state initialised and warm, the first batch in the feed."""
    plan = compile_job(work.job, host())
    start = Stepper(plan, "init")
    start.begin()
    start.step(0)
    stepper = Stepper(plan, "step", start.arena)
    stepper.feed[:] = work.rows(plan, 0, 1)[0]
    stepper.begin()
    for i in range(WARM_UP):
        stepper.step(i)
    return stepper


def summary(rows: Sequence[Row]) -> str:
    seconds, low, work = (sum(getattr(r, name) for r in rows) for name in ("seconds", "low", "flops"))
    limit = peak()
    speed = f"{work / low / 1e9:.0f} GFLOP/s, {work / low / 1e9 / limit:.0%} of the peak of {limit:.0f}"
    return f"{seconds * 1e3:.3f} ms a step, {low * 1e3:.3f} at least; {work / 1e9:.3f} GFLOP; {speed}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
