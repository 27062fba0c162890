"""What a schedule of a contraction costs, in cycles of one core, as a function of shapes, strides and cache sizes.

Takes: a normal form, a target, the choices made so far. Promises: a pure function that never looks at a clock. The
core it has in mind does, in a cycle, two fused multiply-adds and two loads of its widest vector; its numbers were
fitted to measured times of the kernels of docs/where-time-goes.md.

    a step of a tile    the largest of: multiply-adds; loads (one of a per row, those of b); sums under way;
                        and what lines cost that do not stay in the first cache
    a tile              its steps, the vectors it finishes, starting and ending loops, folding leaves
    a panel             packing, a load and a store per vector (more where k runs innermost)
    a slab              packing rows, a load and a store per step of a tile
    a group of k        writing its sums and reading them again
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import gcd

from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Cut, size
from jobspec.ir.target import Target

WIDTH, LINE, PAGE = 16, 64, 4096
#: sums under way that hide the time of one
UNDER_WAY = 8
#: lines of one set of the first cache, and of the second
WAYS = (8, 16)
#: cycles that a line costs beside all else: out of the second cache where it is read one after another or strided, out
#: of the third, out of memory
NEAR, STRIDED, FAR, MEMORY = 0.07, 0.5, 0.7, 1.3
#: a line of each step, each in another page and out of memory; and one that others drive out of the second cache
MISSED, CROWDED = 20.0, 5.0
#: cycles: a vector packed; turned as well; a step of a tile's rows packed
MOVE, TURN, ROWS = 3.0, 3.0, 4.0
#: cycles: a tile; a leaf of it; a vector pushed on the stack; a panel; an element stored by itself
TILE, CHAIN, PUSH, PANEL, SINGLE = 38.0, 2.0, 6.5, 10.0, 2.0
#: each further copy of the tile's code: time to compile it counted as running time
COPY = 0.005


@dataclass(frozen=True)
class Choice:
    """A candidate with all that follows from it; as the backend's tiling.py says, `rows` and `columns` being cut."""

    form: Contraction
    swap: int
    rows: Cut
    columns: Cut
    flat: int
    pack: int
    group: int
    slab: int

    @cached_property
    def steps(self) -> int:
        """Of one group of k."""
        return min(self.form.k_size, self.group * LEAF or self.form.k_size)

    @cached_property
    def groups(self) -> int:
        return -(-self.form.k_size // self.steps)

    @cached_property
    def outer(self) -> int:
        return size(self.form.outer)

    @cached_property
    def runs(self) -> int:
        return 1 if self.flat else size(self.form.m[:-1])

    @property
    def tiles(self) -> int:
        """Of a panel."""
        return self.rows.parts * self.runs

    @cached_property
    def a_bytes(self) -> int:
        """Of the rows of a group."""
        return 4 * self.rows.length * self.runs * self.steps


def cost(c: Choice, target: Target, finish: float) -> float:
    """Cycles of the whole kernel; `finish`: of the epilogue of one vector."""
    split = max(1, WIDTH // target.lanes)
    of_a = {rows: lines_of_a(c, target, rows) for _, _, rows in c.rows.kinds()}
    of_b = {wide: lines_of_b(c, target, wide) for _, _, wide in c.columns.kinds()}
    total = 0.0
    for (_, panels, wide), (_, tiles, rows) in product(c.columns.kinds(), c.rows.kinds()):
        total += panels * tiles * tile(c, rows, wide, split, of_a[rows] + of_b[wide], finish)
    total = c.outer * (c.runs * total + c.groups * panels_of(c, target, split))
    return total * (1 + COPY * (len(of_a) * len(of_b) - 1))


def tile(c: Choice, rows: int, wide: int, split: int, lines: float, finish: float) -> float:
    """Cycles of a tile over all of k."""
    leaves = c.form.leaves
    between = (leaves - 1) * rows * wide * split * PUSH + leaves * CHAIN
    sums = rows * wide * split * 2 * PUSH * c.groups if c.groups > 1 else 0.0
    return c.form.k_size * (step(rows, wide * split) + lines) + c.groups * TILE + between + sums + rows * wide * finish


def step(rows: int, registers: int) -> float:
    """Cycles of a step of a tile of rows × registers, with all in the first cache."""
    return max(rows * registers, rows + registers, UNDER_WAY) / 2


def panels_of(c: Choice, target: Target, split: int) -> float:
    """Cycles spent on all panels of one turn and group, beside their tiles."""
    slabs = -(-c.tiles // c.slab) if c.slab else 1
    vectors = c.columns.length
    total = slabs * c.columns.parts * PANEL
    of_b = 4 * c.form.n[-1].size * c.steps
    if c.pack:
        turned = c.form.kb[-1].b == 1 and c.form.n[-1].b != 1
        total += slabs * c.steps * vectors * ((TURN if turned else MOVE) * split + source(of_b, target))
    else:
        total += slabs * c.steps * vectors * source(of_b, target)
    if c.slab:
        total += c.tiles * c.steps * (ROWS + source(c.a_bytes, target) * c.rows.size / WIDTH)
    return total


def source(bytes_: int, target: Target) -> float:
    """Cycles for a line of what is so large in all and is read over and over."""
    return NEAR if bytes_ <= target.l2 // 2 else FAR if bytes_ <= target.l3 // 2 else MEMORY


def lines_of_b(c: Choice, target: Target, wide: int) -> float:
    """Cycles of a step for lines of b, again for each tile."""
    lines = c.steps * wide
    if c.pack:
        return 0.0 if lines * LINE <= target.l1 // 2 else wide * (NEAR if lines * LINE <= target.l2 // 2 else FAR)
    pitch = 4 * abs(c.form.kb[-1].b) if len(c.form.kb) == 1 else LINE * wide
    if lines <= room(target.l1 // 2, WAYS[0], pitch, wide):
        return 0.0
    return wide * (STRIDED / 2 if lines <= room(target.l2 // 2, WAYS[1], pitch, wide) else FAR)


def lines_of_a(c: Choice, target: Target, rows: int) -> float:
    """Cycles of a step for lines of a."""
    whole = c.a_bytes
    if c.slab:
        return rows / WIDTH * source(slab_bytes(c), target)
    if c.form.ka[-1].a in (0, 1):
        return rows / WIDTH * source(whole, target)
    pitch = 4 * abs(c.form.ka[-1].a)
    if whole > target.l3 // 4 and pitch >= PAGE:
        return MISSED
    if c.steps <= room(target.l1 // 2, WAYS[0], pitch, 1):
        return min(1.0, rows / WIDTH) * source(whole, target)
    return STRIDED * max(1.0, source(whole, target)) if c.steps <= room(target.l2 // 2, WAYS[1], pitch, 1) else CROWDED


def slab_bytes(c: Choice) -> int:
    """Of the rows that are packed at once."""
    return c.slab * c.rows.size * 4 * c.steps


def room(bytes_: int, ways: int, pitch: int, wide: int) -> int:
    """Lines that a cache holds of runs of `wide` lines, `pitch` bytes apart."""
    way = bytes_ // ways
    apart = gcd(pitch, way) if pitch else LINE
    return bytes_ // LINE * min(apart, wide * LINE) // max(apart, LINE) if apart > wide * LINE else bytes_ // LINE
