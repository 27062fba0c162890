"""Schedules of contractions by a GPU's matrix instructions (backends/c/matrices.py).

Takes: a kernel of kind contract and a target. Promises: a pure function of the two. Which contractions are summed so is
decided by the kernel and the class of devices, whatever the schedule; no choice among tiles changes a bit.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.classes import has_matrices
from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.tiles import ACROSS, DOWN
from jobspec.passes.schedule_beside import BUSY
from jobspec.passes.schedule_tiles import across_m, groups_of

Shape = tuple[int, int, int, int, int]
#: pieces of a group of 32 work-items each way, such groups each way, steps of k at a time
SHAPES: tuple[Shape, ...] = (
    (4, 4, 2, 4, 32), (4, 4, 2, 2, 32), (2, 4, 2, 4, 32), (4, 8, 2, 2, 32), (2, 4, 2, 2, 32), (2, 4, 2, 2, 16),
    (2, 2, 2, 2, 32), (1, 2, 2, 2, 32), (1, 1, 1, 1, 32), (1, 1, 1, 1, 16),
)  # fmt: skip
#: for few results, of more than SMALL_TILE each way, and for fewer
SMALL_TILE = 16
SMALL: Shape = (1, 2, 2, 2, 32)
LEAST: Shape = (1, 1, 1, 1, 32)


def suits(form: Contraction, target: Target) -> bool:
    """A rule of the kernel and the class of devices: no schedule may decide it."""
    return form.own and form.plain and has_matrices(target)


def choose(kernel: Kernel, form: Contraction) -> Schedule:
    """The largest tile that is filled by a half and leaves enough groups; the smallest always fits."""
    swap = across_m(kernel, form)
    form = form.swapped() if swap else form
    down, across = size(form.m), size(form.n)
    for shape in SHAPES:
        rows, columns = lines(shape)
        if groups_of(form, rows, columns) >= BUSY and 2 * down > rows and 2 * across > columns:
            return made(swap, shape)
    return made(swap, SMALL if min(down, across) > SMALL_TILE else LEAST)


def possible(kernel: Kernel) -> Iterator[Schedule]:
    swap = across_m(kernel, normal_form(kernel))
    yield from (made(way, shape) for way in (swap, 1 - swap) for shape in SHAPES)


def lines(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tile."""
    rows, columns, high, wide, _ = shape
    return DOWN * rows * high, ACROSS * columns * wide


def made(swap: int, shape: Shape) -> Schedule:
    rows, columns, high, wide, stage = shape
    return Schedule.of(matrices=1, swap=swap, rows=rows, columns=columns, high=high, wide=wide, stage=stage)
