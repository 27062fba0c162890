"""Schedules for devices that run rendered C: how large a tile a work-item takes, how many share a row.

Takes: a kernel and a target of the opencl or cuda backend, whose `features` name its shape, `cpu` or `gpu`. Promises:
a pure function of the two; what the choices mean stands in backends/c; none of them changes a bit.
"""

from __future__ import annotations

from jobspec.ir.contract import LANES
from jobspec.ir.contraction import normal_form, size
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

#: rows of a work-item's tile on a processor; vectors beside each other where sums fit in many registers, in few, in one
CPU_ROWS, CPU_VECTORS = 6, {16: 4, 8: 2, 4: 2}
GPU_TILE = 4
#: tiles that must use a strip of b before copying it together pays
REUSE = 3


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of one kernel."""
    if kernel.kind == "contract":
        return contraction(kernel, target)
    if kernel.kind == "rows" and any(inst.op == "reduce" for inst in kernel.body):
        return made(team=LANES) if target.features != "cpu" else made(lanes=target.lanes)
    return Schedule()


def contraction(kernel: Kernel, target: Target) -> Schedule:
    form = normal_form(kernel)
    swap = (form.n[-1].b != 1 and form.m[-1].a == 1) or form.n[-1].size < target.lanes <= form.m[-1].size
    form = form.swapped() if swap else form
    columns, rows = form.n[-1].size, min(CPU_ROWS if target.features == "cpu" else GPU_TILE, size(form.m))
    if target.features != "cpu":
        return made(swap=int(swap), rows=rows, columns=min(GPU_TILE, columns), lanes=1)
    lanes = next((n for n in (target.lanes, 8, 4) if n <= min(target.lanes, columns)), 1)
    vectors = max(1, min(CPU_VECTORS.get(lanes, GPU_TILE), columns // lanes))
    pack = form.plain and lanes > 1 and form.n[-1].b != 1 and size(form.m) >= REUSE * rows
    return made(swap=int(swap), rows=rows, columns=vectors, lanes=lanes, pack=int(pack))


def made(**choices: int) -> Schedule:
    return Schedule(tuple(sorted(choices.items())))
