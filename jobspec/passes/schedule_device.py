"""Schedules for devices that run rendered C, by the shape of the device.

Takes: a kernel and a target of the opencl or cuda backend, whose `features` name its shape, `cpu` or `gpu`. Promises:
a pure function of the two; what the choices mean stands in backends/c; none of them changes a bit, nor does any of
`ranked`, which `tune` tries and plan files may hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.contraction import normal_form
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.passes import (
    schedule_aside,
    schedule_beside,
    schedule_between,
    schedule_matrices,
    schedule_processor,
    schedule_tiles,
)


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of one kernel."""
    if target.features == "cpu":
        return schedule_processor.choose(kernel, target)
    return contraction(kernel, target) if kernel.kind == "contract" else schedule_beside.choose(kernel)


def ranked(kernel: Kernel, target: Target) -> list[Schedule]:
    """Every schedule that the kernel may be executed with: the scheduler's own, then what is most like it; each
    work-item by itself comes last."""
    chosen = choose(kernel, target)
    others = schedule_processor.possible if target.features == "cpu" else on_gpu
    alone = () if kernel.kind == "contract" else (Schedule(),)
    return list(dict.fromkeys([chosen, *others(kernel, target, chosen), *alone]))


def contraction(kernel: Kernel, target: Target) -> Schedule:
    """On a GPU."""
    form = normal_form(kernel)
    if schedule_aside.suits(form, target):
        return schedule_aside.choose(kernel, form)
    if schedule_matrices.suits(form, target):
        return schedule_matrices.choose(kernel, form)
    return schedule_tiles.choose(kernel, form, target)


def on_gpu(kernel: Kernel, target: Target, chosen: Schedule) -> Iterator[Schedule]:
    """What else may be tried, likeliest first."""
    if kernel.kind == "contract":
        yield from tiles(kernel, target)
        return
    yield from schedule_beside.possible(kernel)
    if chosen.get("team", 0) or chosen.get("rows", 0):
        yield from schedule_between.possible(kernel, target)


def tiles(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Of a contraction."""
    form = normal_form(kernel)
    if schedule_aside.suits(form, target):
        return schedule_aside.possible(kernel)
    if schedule_matrices.suits(form, target):
        return schedule_matrices.possible(kernel)
    return schedule_tiles.possible(kernel, target)
