"""Schedules of contractions by matrix instructions that work on the side (backends/c/matrices_aside.py).

Takes: a contraction, a target. Promises: a pure function of these. Which contractions are summed so is decided by their
sizes and by the class of devices, whatever the schedule: these instructions may add in another order than those that
wait, so that no choice among schedules may lead from one to the other. Nobody has measured them on a GPU: what is
chosen is what a fetched number serves most often.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.classes import has_aside
from jobspec.ir.contraction import Contraction, size
from jobspec.ir.target import Target

#: rows and columns that fill half of the smallest tile
LEAST = 32
#: columns of a group of 128 work-items, such groups each way, stages of operands that are copied first (0: they are
#: not), from the most reuse to the least
SHAPES = (
    (256, 2, 1, 4), (128, 2, 1, 3), (128, 2, 1, 4), (64, 2, 2, 3), (128, 1, 2, 3), (128, 1, 1, 4), (64, 1, 1, 4),
    (128, 2, 1, 0), (64, 2, 2, 0), (128, 1, 1, 0), (64, 2, 1, 0), (64, 1, 1, 0),
)  # fmt: skip
BLOCK = 64
#: groups that keep a GPU's processors busy: one for each of three quarters of the 132 of an H100; tiles beside each
#: other that fetch an operand often enough for copying it first
BUSY, REUSE = 100, 4


def suits(form: Contraction, target: Target) -> bool:
    """Whether the class of `target` sums it so."""
    return form.own and form.plain and has_aside(target) and min(size(form.m), size(form.n)) >= LEAST


def choose(form: Contraction) -> dict[str, int]:
    """The largest tile that is filled by more than a half and leaves enough groups, or else the smallest; operands are
    copied first where tiles fetch them often enough."""
    for shape in SHAPES:
        aside, high, wide, stages = shape
        rows, columns = -(-size(form.m) // (BLOCK * high)), -(-size(form.n) // (aside * wide))
        filled = 2 * size(form.m) > BLOCK * high and 2 * size(form.n) > aside * wide
        pays = not stages or min(rows, columns) >= REUSE
        if size(form.batch) * rows * columns >= BUSY and filled and pays:
            return named(shape)
    return named(SHAPES[-1])


def possible() -> Iterator[dict[str, int]]:
    yield from map(named, SHAPES)


def named(shape: tuple[int, int, int, int]) -> dict[str, int]:
    return dict(zip(("aside", "high", "wide", "stages"), shape, strict=True))
