"""Schedules of contractions on GPUs: tiles that groups of work-items share, by way of shared memory and registers.

Takes: a kernel of kind contract and a target whose `features` are `gpu`. Promises: a pure function of the two; no
choice changes a bit. A tile is as large as leaves enough groups for the processors.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.tiles import PAD
from jobspec.passes.schedule_beside import BUSY

#: sums of a work-item each way where no memory is shared
TILE = 4
#: sums of a work-item each way, work-items each way, steps of k at a time: from the most reuse to the least
TILES = ((8, 16, 16), (4, 16, 16), (4, 8, 16))
#: tiles to try: the same with rows and columns apart
SHAPES = (
    (8, 8, 16, 16, 8), (8, 8, 16, 16, 16), (8, 8, 8, 16, 8), (8, 8, 16, 8, 8), (4, 8, 16, 16, 16), (8, 4, 16, 16, 16),
    (8, 8, 8, 8, 16), (4, 4, 16, 16, 16), (4, 8, 8, 16, 16), (8, 4, 16, 8, 16), (4, 4, 8, 16, 16), (4, 4, 16, 8, 16),
    (4, 4, 8, 8, 16), (4, 4, 8, 8, 32),
)  # fmt: skip


def choose(kernel: Kernel, form: Contraction, target: Target) -> Schedule:
    """Neighbouring work-items write neighbouring results; too small or chosen by an index, each takes its own sums."""
    swap = across_m(kernel, form)
    form = form.swapped() if swap else form
    for each, items, stage in TILES if form.plain else ():
        tile = each * items
        groups = groups_of(form, tile, tile)
        last = (each, items, stage) == TILES[-1]
        if staged_fits(tile, tile, stage, target) and suits(form, tile) and (groups >= BUSY or last):
            return Schedule.of(swap=swap, rows=each, columns=each, high=items, wide=items, stage=stage)
    return unshared(form, swap)


def unshared(form: Contraction, swap: int) -> Schedule:
    """Each work-item by itself."""
    return Schedule.of(swap=swap, rows=min(TILE, size(form.m)), columns=min(TILE, form.n[-1].size), lanes=1)


def groups_of(form: Contraction, down: int, across: int) -> int:
    """How many groups take tiles of `down` × `across`."""
    return size(form.batch) * -(-size(form.m) // down) * -(-size(form.n) // across)


def across_m(kernel: Kernel, form: Contraction) -> int:
    """Whether results that lie together differ in m."""
    stores = [inst["view"].strides for inst in kernel.body if inst.op == "store"]
    along_n, along_m = (any(strides[e[-1].axis] == 1 for strides in stores) for e in (form.n, form.m))
    return int(along_m and not along_n)


def staged_fits(down: int, across: int, stage: int, target: Target) -> bool:
    """Whether two stages of both operands lie in shared memory."""
    return 2 * 4 * stage * (down + across + 2 * PAD) <= target.l1


def suits(form: Contraction, tile: int) -> bool:
    """Whether a tile is filled by more than a half."""
    return min(size(form.m), size(form.n)) * 2 > tile


def possible(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Other tiles through shared memory, square and not, with rows and columns exchanged, then none."""
    own = normal_form(kernel)
    first = across_m(kernel, own)
    for swap in (first, 1 - first):
        form = own.swapped() if swap else own
        for rows, columns, high, wide, stage in SHAPES if form.plain else ():
            down, across = rows * high, columns * wide
            if staged_fits(down, across, stage, target) and down < 2 * size(form.m) and across < 2 * size(form.n):
                yield Schedule.of(swap=swap, rows=rows, columns=columns, high=high, wide=wide, stage=stage)
        yield unshared(form, swap)
