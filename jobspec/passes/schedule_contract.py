"""The schedule of a contraction: tile, packing, groups of k; chosen by a cost model, never by a clock.

Takes: a kernel of kind contract and a target. Promises: a pure function of the two. What the choices
mean stands in backends/llvm/tiling.py; none of them changes a bit.

Costs are counted in half cycles of a core that does, in a cycle, two fused multiply-adds and two loads
of its widest vector, with four cycles from a sum to the next:

    a step of a tile    the largest of: multiply-adds; loads (one of a per row, those of b); eight sums under way;
                        and a part of the time that lines from the second cache take
    a tile              its steps, the vectors it finishes, and starting and ending loops
    a panel             packing, a load and a store per vector (as much again where k runs innermost)
    a group of k        writing its sums and reading them again
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Cut, cut, normal_form, size
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

WIDTH = 16
#: rows of a that may lie a power of two apart and still find room in the first cache; more where one vector is all
FEW_ROWS, MOST_ROWS, MOST_VECTORS = 8, 12, 6
#: half cycles: a vector loaded and stored; the start and end of a tile; an element stored by itself
MOVE, TILE, SINGLE = 4, 60, 4
#: sums under way that hide the time of one
UNDER_WAY = 8
#: half cycles a line from the second cache costs on top of all else, of a packed panel and of b where it lies
PACKED_LINE, LYING_LINE = 0.4, 0.8
#: instructions of an epilogue that are worth repeating for each vector of a tile
INLINE = 150
#: tiles that share out well among threads, the most parts of k, the least half cycles worth sharing out
ENOUGH, MOST_GROUPS, WORTH = 24, 64, 100_000
#: each further copy of the tile's code: time to compile it counted as running time
COPY = 0.01


@dataclass(frozen=True)
class Choice:
    """A candidate with all that follows from it."""

    form: Contraction
    swap: int
    rows: Cut
    columns: Cut
    flat: int
    pack: int
    group: int


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The cheapest schedule of `kernel`."""
    instructions = epilogue_cost(kernel)
    best = min(candidates(kernel, target), key=lambda c: cost(kernel, target, c, instructions))
    through = int(instructions * best.rows.size * best.columns.size > INLINE)
    named = {
        "rows": best.rows.size,
        "vectors": best.columns.size,
        "pack": best.pack,
        "ahead": fetched_ahead(best, target),
        "group": best.group,
        "flat": best.flat,
        "swap": best.swap,
        "through": through,
    }
    return Schedule(tuple(sorted(named.items())))


def candidates(kernel: Kernel, target: Target) -> Iterator[Choice]:
    """Every tile that fits the registers, both ways round."""
    split = max(1, WIDTH // target.lanes)
    plain = normal_form(kernel)
    tiles = [
        *product(range(1, FEW_ROWS + 1), range(1, MOST_VECTORS + 1)),
        *product(range(FEW_ROWS, MOST_ROWS + 1), [1]),
    ]
    for swap, form in ((0, plain), (1, plain.swapped())):
        flat = int(form.m[-1].size < 4 < size(form.m))
        length, vectors = (size(form.m) if flat else form.m[-1].size), -(-form.n[-1].size // WIDTH)
        for rows, wide in tiles:
            if (rows + 1) * wide * split + 1 <= target.registers or rows == wide == 1:
                columns = cut(vectors, wide)
                group = group_of(form, columns.size, cut(length, rows), flat, target)
                pack = int(worth_packing(form, columns.size, cut(length, rows), flat, group, target))
                yield Choice(form, swap, cut(length, rows), columns, flat, pack, group)


def worth_packing(form: Contraction, vectors: int, rows: Cut, flat: int, group: int, target: Target) -> bool:
    """b does not lie as a tile reads it; or it is read often, and is large or lies badly. Never where an index says how
    much of k there is."""
    if form.span is not None:
        return False
    if (form.n[-1].size > 1 and form.n[-1].b != 1) or len(form.kb) > 1:
        return True
    pitch = 4 * abs(form.kb[-1].b)
    tiles = rows.parts * (1 if flat else size(form.m[:-1]))
    if tiles < 4 or pitch <= 4 * WIDTH * vectors:
        return False
    return pitch * min(group * LEAF or form.k_size, form.k_size) > target.l2 or pitch % 4096 == 0


def fetched_ahead(c: Choice, target: Target) -> int:
    """Which operands come from beyond the second cache in an order that the hardware does not foresee: 1 for a, whose
    rows run along k; 2 for b, a panel of which is a few lines of each step."""
    form = c.form
    if not form.plain:
        return 0
    rows_of_a = len(form.ka) == 1 and form.ka[0].a == 1 and 4 * size(form.m) * form.k_size > target.l2
    lying = len(form.kb) == 1 and form.n[-1].b == 1
    panels_of_b = c.pack and lying and 4 * form.n[-1].size * form.k_size > target.l2
    return (1 if rows_of_a else 0) + (2 if panels_of_b else 0)


def group_of(form: Contraction, vectors: int, rows: Cut, flat: int, target: Target) -> int:
    """Leaves per part of k: a panel's part stays in a quarter of the second cache; small results are shared out by
    parts; sums of all parts that would fill memory are not kept apart."""
    leaves = -(-form.k_size // LEAF)
    if form.span is not None:
        return 0
    fitting = max(1, target.l2 // 4 // (LEAF * vectors * 4 * WIDTH))
    tiles = size(form.batch) * size(form.n[:-1]) * -(-form.n[-1].size // (WIDTH * vectors))
    tiles *= rows.parts * (1 if flat else size(form.m[:-1]))
    if tiles < ENOUGH and tiles * rows.size * vectors * form.k_size > WORTH:
        fitting = min(fitting, max(2, leaves * tiles // ENOUGH))
    fitting = max(fitting, -(-leaves // MOST_GROUPS))
    group = 1 << (fitting.bit_length() - 1)
    group = group * 2 if group * MOST_GROUPS < leaves else group
    sums = 4 * size((*form.batch, *form.m, *form.n)) * -(-leaves // group)
    return 0 if group >= leaves or sums > 2 * target.l3 else group


def cost(kernel: Kernel, target: Target, c: Choice, instructions: int) -> float:
    """Half cycles of the whole kernel on one core."""
    form, split = c.form, max(1, WIDTH // target.lanes)
    groups = -(-form.k_size // (c.group * LEAF)) if c.group else 1
    outer, runs = size(form.batch) * size(form.n[:-1]), 1 if c.flat else size(form.m[:-1])
    strided = sum(SINGLE * WIDTH for view, _ in results(kernel) if view.strides[form.n[-1].axis] not in (0, 1))
    finish = (2 + instructions) * split + strided
    total = 0.0
    for _, panels, wide in c.columns.kinds():
        for _, tiles, rows in c.rows.kinds():
            step = max(rows * wide * split, rows + wide * split, UNDER_WAY) + lines(c, rows, wide, target)
            sums = rows * wide * ((2 + 2 * split) * groups if groups > 1 else 0)
            total += panels * tiles * (form.k_size * step + groups * TILE + rows * wide * finish + sums)
    total *= outer * runs
    if c.pack:
        total += outer * form.k_size * c.columns.length * MOVE * split
    copies = len(c.columns.kinds()) * len(c.rows.kinds())
    return total * (1 + COPY * (copies - 1))


def lines(c: Choice, rows: int, wide: int, target: Target) -> float:
    """Half cycles of a step for lines that do not stay in the first cache."""
    steps = min(c.form.k_size, c.group * LEAF or c.form.k_size)
    price = PACKED_LINE if c.pack else LYING_LINE
    of_b = wide * price if steps * wide * 4 * WIDTH > target.l1 // 2 else 0.0
    across = c.form.ka[-1].a not in (0, 1)
    of_a = 1.0 if across and steps * 64 > target.l1 // 2 else rows / WIDTH
    return of_b + of_a * PACKED_LINE


def epilogue_cost(kernel: Kernel) -> int:
    """Instructions after the product, per vector, roughly."""
    return sum(20 if inst.op in OPS and OPS[inst.op].has("library") else 1 for inst in kernel.body) - 2


def results(kernel: Kernel) -> list[tuple[View, bool]]:
    """What the epilogue loads and stores."""
    return [(inst["view"], inst.op == "store") for inst in kernel.body if inst.op in ("load", "store")]
