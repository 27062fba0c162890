"""Schedules of contractions by matrix instructions that work on the side (backends/c/matrices_aside.py).

Takes: a contraction, a target. Promises: a pure function of these. Which contractions are summed so is decided by their
sizes and by the class of devices, whatever the schedule: these instructions may add in another order than those that
wait, so that no choice among schedules may lead from one to the other. Nobody has measured them on a GPU: a tile is
chosen by what its products and its fetches come to.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from jobspec.ir.classes import has_aside
from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.tiles import BLOCK
from jobspec.passes.schedule_beside import PROCESSORS
from jobspec.passes.schedule_tiles import across_m, groups_of

Shape = tuple[int, int, int, int]
#: rows and columns that fill half of the smallest tile
LEAST = 32
#: columns of a group of 128 work-items, such groups each way, stages of bfloat16 (0: of float32, through registers),
#: from the most reuse to the least
SHAPES: tuple[Shape, ...] = (
    (256, 2, 1, 4), (128, 2, 1, 3), (128, 2, 1, 0), (64, 2, 2, 0), (128, 1, 2, 3), (128, 1, 1, 4), (128, 1, 1, 0),
    (64, 2, 1, 4), (64, 1, 1, 4), (64, 2, 1, 0), (64, 1, 1, 0),
)  # fmt: skip
#: neighbours that lie together where a stage is fetched from where an operand lies: elsewhere it is copied first
NEIGHBOURS = 8
#: cycles of a processor for 64 steps: of a line or column that is fetched, at 64 bytes a cycle, in float32 and in
#: bfloat16; how many sums the tensor cores take in one; of lines and columns that are copied first, 4 bytes read and 2
#: written at 20 a cycle
FETCHED, FETCHED_HALF, SUMS, COPIED = 4, 2, 64, 19
#: cycles that a launch takes by itself, a microsecond
LAUNCH = 1800


def suits(form: Contraction, target: Target) -> bool:
    """Whether the class of `target` sums it so."""
    return form.own and form.plain and has_aside(target) and min(size(form.m), size(form.n)) >= LEAST


def choose(kernel: Kernel, form: Contraction) -> Schedule:
    """What takes the fewest cycles by count; neighbouring work-items write neighbouring results."""
    swap = across_m(kernel, form)
    form = form.swapped() if swap else form
    return made(swap, min(SHAPES, key=lambda shape: cycles(form, shape)))


def possible(kernel: Kernel) -> Iterator[Schedule]:
    swap = across_m(kernel, normal_form(kernel))
    yield from (made(way, shape) for way in (swap, 1 - swap) for shape in SHAPES)


def made(swap: int, shape: Shape) -> Schedule:
    aside, high, wide, stages = shape
    return Schedule.of(matrices=1, swap=swap, aside=aside, high=high, wide=wide, stages=stages)


def cycles(form: Contraction, shape: Shape) -> int:
    """Of the processor that has most to do. What can be read from where it lies is taken to lie in two bytes, as all
    does that halve.py finds."""
    launches = len(copied(form)) if shape[3] else 0
    return -(-form.k_size // BLOCK) * each(form, shape) + launches * LAUNCH


def each(form: Contraction, shape: Shape) -> int:
    """Of 64 steps, with the processor's share of what is copied first."""
    down, across = lines(shape)
    rounds = -(-groups_of(form, down, across) // PROCESSORS)
    fetched = (down + across) * (FETCHED_HALF if shape[3] else FETCHED)
    first = COPIED * copies(form) // PROCESSORS if shape[3] else 0
    return rounds * max(fetched, down * across // SUMS) + first


def copied(form: Contraction) -> list[str]:
    """The operands that cannot be read from where they lie."""
    return [side for side in ("a", "b") if not form.lie_together(side, NEIGHBOURS)]


def copies(form: Contraction) -> int:
    """Lines and columns in memory that are copied first."""
    lines = {"a": size(form.m), "b": size(form.n)}
    return sum(lines[side] * prod(e.size for e in form.batch if getattr(e, side)) for side in copied(form))


def lines(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tile."""
    aside, high, wide, _ = shape
    return BLOCK * high, aside * wide
