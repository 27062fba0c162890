"""Schedules for devices that run rendered C: how large a tile a work-item takes, how many share a row.

Takes: a kernel and a target of the opencl or cuda backend, whose `features` name its shape, `cpu` or `gpu`. Promises:
a pure function of the two; what the choices mean stands in backends/c; none of them changes a bit. On a GPU a
contraction is cut into tiles that groups of work-items share: as large as leaves enough groups for its processors.
"""

from __future__ import annotations

from math import prod

from jobspec.ir.contract import LANES, LEAF
from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

#: rows of a work-item's tile on a processor; vectors beside each other where sums fit in many registers, in few, in one
CPU_ROWS, CPU_VECTORS = 6, {16: 4, 8: 2, 4: 2}
GPU_TILE = 4
#: groups that keep a GPU's processors busy: two for each of the 132 of an H100
BUSY = 264
#: work-items of a group that share columns
GPU_ITEMS = 512
#: floats between lines of a stage (backends/c/tiled.py)
GPU_PAD = 4
#: sums of a work-item each way, work-items each way, steps of k at a time: from the most reuse to the least
GPU_TILES = ((8, 16, 8), (4, 16, 16), (4, 8, 16))
#: tiles that must use a strip of b before copying it together pays
REUSE = 3


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of one kernel."""
    if kernel.kind == "contract":
        return contraction(kernel, target)
    folds = any(inst.op == "reduce" for inst in kernel.body)
    if target.features != "cpu":
        return made(team=LANES) if folds and kernel.kind == "rows" else columns(kernel, folds)
    return in_vectors(kernel, target, folds)


def in_vectors(kernel: Kernel, target: Target, folds: bool) -> Schedule:
    """Rows, and kernels that fold nothing, along the last axis."""
    maps = kernel.kind in ("rows", "columns", "fill") and not folds
    if (folds and kernel.kind == "rows") or (maps and kernel.axes[-1].size >= target.lanes):
        return made(lanes=target.lanes)
    return Schedule()


def columns(kernel: Kernel, folds: bool) -> Schedule:
    """Work-items share a column, run of leaves by run, where the columns alone would leave a GPU idle."""
    kept, reduced = (prod(kernel.axes[a].size for a in kernel.axes_of(role)) for role in ("kept", "reduced"))
    leaves, beside = -(-reduced // LEAF), min(LANES, kept)
    if kernel.kind != "columns" or not folds or leaves < 2 or kept > BUSY * GPU_ITEMS:
        return Schedule()
    return made(beside=beside, parts=min(leaves, GPU_ITEMS // beside))


def contraction(kernel: Kernel, target: Target) -> Schedule:
    form = normal_form(kernel)
    if target.features != "cpu":
        return on_gpu(kernel, form, target)
    swap = (form.n[-1].b != 1 and form.m[-1].a == 1) or form.n[-1].size < target.lanes <= form.m[-1].size
    form = form.swapped() if swap else form
    columns, rows = form.n[-1].size, min(CPU_ROWS, size(form.m))
    lanes = next((n for n in (target.lanes, 8, 4) if n <= min(target.lanes, columns)), 1)
    vectors = max(1, min(CPU_VECTORS.get(lanes, GPU_TILE), columns // lanes))
    pack = form.plain and lanes > 1 and form.n[-1].b != 1 and size(form.m) >= REUSE * rows
    return made(swap=int(swap), rows=rows, columns=vectors, lanes=lanes, pack=int(pack))


def on_gpu(kernel: Kernel, form: Contraction, target: Target) -> Schedule:
    """Neighbouring work-items write neighbouring results; too small or chosen by an index, each takes its own sums."""
    stores = [inst["view"].strides for inst in kernel.body if inst.op == "store"]
    along_n, along_m = (any(strides[e[-1].axis] == 1 for strides in stores) for e in (form.n, form.m))
    swap = int(along_m and not along_n)
    form = form.swapped() if swap else form
    for each, items, stage in GPU_TILES if form.plain else ():
        tile = each * items
        groups = size(form.batch) * -(-size(form.m) // tile) * -(-size(form.n) // tile)
        last = (each, items, stage) == GPU_TILES[-1]
        fits = 2 * 4 * stage * 2 * (tile + GPU_PAD) <= target.l1 and min(size(form.m), size(form.n)) * 2 > tile
        if fits and (groups >= BUSY or last):
            return made(swap=swap, rows=each, columns=each, high=items, wide=items, stage=stage)
    return made(swap=swap, rows=min(GPU_TILE, size(form.m)), columns=min(GPU_TILE, form.n[-1].size), lanes=1)


def made(**choices: int) -> Schedule:
    return Schedule(tuple(sorted(choices.items())))
