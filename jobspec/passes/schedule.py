"""Schedules: how each kernel is to be executed on a target. Never changes a bit.

Takes: a kernel and a target. Promises: a pure function of the two; what it decides is written into the plan.
In native code contractions have choices, and kernels that write more than a cache holds; the others are executed in the
one way their generator knows.
"""

from __future__ import annotations

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.passes import schedule_contract, schedule_device, schedule_rows


def choose_schedule(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of one kernel."""
    if target.backend in ("opencl", "cuda"):
        return schedule_device.choose(kernel, target)
    if kernel.kind == "contract":
        return schedule_contract.choose(kernel, target)
    return schedule_rows.ranked(kernel, target)[0] if target.backend == "llvm" else Schedule()


def possible_schedules(kernel: Kernel, target: Target) -> list[Schedule]:
    """Every schedule that a kernel may be executed with, the likeliest to be fast first: what `tune` tries, and all
    that a plan from elsewhere may hold."""
    if target.backend == "llvm" and kernel.kind == "contract":
        return schedule_contract.ranked(kernel, target)
    if target.backend in ("opencl", "cuda"):
        return schedule_device.ranked(kernel, target)
    if target.backend == "llvm":
        return schedule_rows.ranked(kernel, target)
    return [choose_schedule(kernel, target)]
