"""The schedule of a contraction: tile, packing, groups of k; chosen by a cost model, never by a clock.

Takes: a kernel of kind contract and a target. Promises: a pure function of the two. What the choices mean stands in
backends/llvm/tiling.py, what they cost in contract_cost.py; none of them changes a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import product

from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Cut, cut, normal_form, size
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.passes.contract_cost import SINGLE, WIDTH, Choice, cost, slab_bytes, step

#: rows of a that may lie a power of two apart and still find room in the first cache; more where one vector is all
FEW_ROWS, MOST_ROWS, MOST_VECTORS = 8, 12, 6
#: tiles that are looked at closely, and by how much longer their steps may take than the best's
LIKELY, SLOWER = 12, 1.3
#: how many times the second cache a slab may be
FURTHER = 4
#: bytes from step to step from which on rows that lie side by side are worth packing
FAR_APART = 512
#: instructions of an epilogue that are worth repeating for each vector of a tile
INLINE = 150
#: instructions of an epilogue that are worth hiding behind multiplications
LATE = 20
#: registers that such an epilogue needs beside the sums
SPARE = 12
#: tiles that share out well among threads, the most parts of k, the least half cycles worth sharing out
ENOUGH, MOST_GROUPS, WORTH = 24, 64, 100_000
#: threads among which rows should share out evenly, and what it costs if they do not: half a microsecond of two
TEAM, WAIT = 8, 4000.0
#: cycles of an instruction of the epilogue
FINISH = 0.4
#: what stands for views: where an operand lies decides nothing
NOWHERE = View(-1, 0, ())


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The cheapest schedule of `kernel`."""
    return ranked(kernel, target, 1)[0]


def ranked(kernel: Kernel, target: Target, most: int | None = None) -> list[Schedule]:
    """The `most` cheapest schedules of `kernel`, all of them where None; cheapest first."""
    return list(cheapest(task_of(kernel, target), target, most))


@dataclass(frozen=True)
class Task:
    """All of a kernel that a schedule depends on. `forms`: both ways round, without what says where operands lie;
    `last`, `touched`: for each way, the cycles of a vector's epilogue and the tensors that it reads or writes, of the
    result's size; `instructions`: of the epilogue."""

    forms: tuple[Contraction, Contraction]
    last: tuple[float, float]
    touched: tuple[int, int]
    instructions: int


def task_of(kernel: Kernel, target: Target) -> Task:
    form, instructions = replace(normal_form(kernel), a=NOWHERE, b=NOWHERE, product=0, start=-1), epilogue_cost(kernel)
    one, other = form, form.swapped()
    last = finish(kernel, target, one, instructions), finish(kernel, target, other, instructions)
    return Task((one, other), last, (touched(kernel, one), touched(kernel, other)), instructions)


@lru_cache(maxsize=1 << 12)
def cheapest(task: Task, target: Target, most: int | None) -> tuple[Schedule, ...]:
    """Kernels that differ only in where operands lie have one task: it is weighed once."""
    choices = candidates(task.forms, target)
    by_cost = sorted(choices, key=lambda c: cost(c, target, task.last[c.swap]) + waiting(c, target))
    return tuple(scheduled(task, target, c) for c in by_cost[:most])


def scheduled(task: Task, target: Target, c: Choice) -> Schedule:
    """A candidate as the plan holds it."""
    return Schedule.of(
        rows=c.rows.size,
        vectors=c.columns.size,
        pack=c.pack,
        ahead=fetched_ahead(c, target, task.touched[c.swap]),
        group=c.group,
        flat=c.flat,
        swap=c.swap,
        slab=c.slab,
        across=int(goes_across(c, target)),
        through=through(c, target, task.instructions),
    )


def through(c: Choice, target: Target, instructions: int) -> int:
    """Whether sums go to the epilogue by way of memory, and so late that the next tile is multiplied meanwhile."""
    if instructions * c.rows.size * c.columns.size <= INLINE:
        return 0
    sums = c.rows.size * c.columns.size * max(1, WIDTH // target.lanes)
    return 2 if instructions >= LATE and target.registers - sums >= SPARE else 1


def waiting(c: Choice, target: Target) -> float:
    """Cycles of all threads that wait for one another, where their shares are not equal runs of rows."""
    return 0.0 if c.outer > 1 or (goes_across(c, target) and c.rows.even and c.tiles % TEAM == 0) else WAIT


def goes_across(c: Choice, target: Target) -> bool:
    """Whether threads share out rows rather than tiles: each reads its own rows and all of b, which then should be the
    smaller one and find room in its second cache. What comes before and after often keeps to the same rows."""
    columns, row = c.form.n[-1].size, c.form.m[0].a > c.form.ka[-1].a
    small = columns <= size(c.form.m) and 4 * columns * c.form.k_size <= target.l2 // 2
    return row and small and c.outer == 1 and not c.slab and not c.group and c.form.plain and c.tiles >= TEAM


def candidates(forms: Iterable[Contraction], target: Target) -> Iterator[Choice]:
    """The likely tiles, both ways round, each operand packed and where it lies."""
    for swap, form in enumerate(forms):
        flat = int(form.m[-1].size < 4 < size(form.m))
        length, vectors = (size(form.m) if flat else form.m[-1].size), -(-form.n[-1].size // WIDTH)
        for rows, columns in cuts(length, vectors, target.registers, max(1, WIDTH // target.lanes)):
            group = group_of(form, columns.size, rows, flat, target)
            steps = min(group * LEAF or form.k_size, form.k_size)
            for pack, slab in product(packing(form), slabs(form, rows, flat, steps, target)):
                yield Choice(form, swap, rows, columns, flat, pack, group, slab)


@lru_cache(maxsize=1 << 12)
def cuts(length: int, vectors: int, registers: int, split: int) -> tuple[tuple[Cut, Cut], ...]:
    """Tiles of rows × vectors, each once: those whose steps alone do not take much longer than the best's. `split`:
    registers of a vector."""
    taken: dict[tuple[Cut, Cut], float] = {}
    for rows, wide in tiles(registers, split):
        both = cut(length, rows), cut(vectors, wide)
        taken[both] = both[0].parts * both[1].parts * step(both[0].size, both[1].size * split)
    likely = sorted(taken, key=lambda both: taken[both])[:LIKELY]
    return tuple(both for both in likely if taken[both] <= SLOWER * taken[likely[0]])


@cache
def tiles(registers: int, split: int) -> tuple[tuple[int, int], ...]:
    """Rows and vectors that find room in the registers; `split`: registers of a vector."""
    every = [
        *product(range(1, FEW_ROWS + 1), range(1, MOST_VECTORS + 1)),
        *product(range(FEW_ROWS, MOST_ROWS + 1), [1]),
    ]
    return tuple(t for t in every if (t[0] + 1) * t[1] * split + 1 <= registers or t == (1, 1))


def packing(form: Contraction) -> tuple[int, ...]:
    """Whether b may be packed, may be read where it lies: as an index says where it lies, or as it lies badly."""
    if form.span is not None:
        return (0,)
    return (1,) if (form.n[-1].size > 1 and form.n[-1].b != 1) or len(form.kb) > 1 else (0, 1)


def slabs(form: Contraction, rows: Cut, flat: int, steps: int, target: Target) -> tuple[int, ...]:
    """Tiles whose rows of a are packed at once: none; where rows lie side by side, what the second cache holds, or a
    few times as much. All slabs of a kernel are about as large, so that threads get equal shares."""
    if not form.plain or form.m[-1].a != 1 or (flat and len(form.m) > 1) or 4 * abs(form.ka[-1].a) < FAR_APART:
        return (0,)
    tiles = rows.parts * (1 if flat else size(form.m[:-1]))
    near = max(1, min(tiles, target.l2 // (4 * steps * rows.size)))
    return tuple(dict.fromkeys((0, evenly(tiles, near), evenly(tiles, FURTHER * near))))


def evenly(tiles: int, most: int) -> int:
    """The size of parts of at most `most`: one, or an even number of equal ones."""
    parts = -(-tiles // most)
    return -(-tiles // (parts + parts % 2 if parts > 1 else 1))


def finish(kernel: Kernel, target: Target, form: Contraction, instructions: int) -> float:
    """Cycles that the epilogue of a vector takes."""
    strided = sum(SINGLE * WIDTH for view, _ in results(kernel) if view.strides[form.n[-1].axis] not in (0, 1))
    return FINISH * (2 + instructions) * max(1, WIDTH // target.lanes) + strided


def fetched_ahead(c: Choice, target: Target, touched: int) -> int:
    """Which operands come from beyond the second cache in an order that the hardware does not foresee: 1 for a, whose
    rows run along k or are packed in a slab that is too large for it; 2 for b, a panel of which is a few lines of each
    step; 4 for what the epilogue reads and writes, `touched` tensors of the result's size; 8 for both operands of the
    next turn of the loops outside; 16 for the lines beside those of a, whose rows lie side by side."""
    form = c.form
    if not form.plain:
        return 0
    along_k = form.ka[-1].a == 1 and 4 * c.outer * size(form.m) * form.k_size > target.l2
    rows_of_a = slab_bytes(c) > target.l2 // 2 if c.slab else along_k
    walked = len(form.kb) == 1 or not c.group
    lying = walked and form.n[-1].b == 1 and (c.outer == 1 or c.columns.parts > 1)
    panels_of_b = lying and (c.pack or not c.slab) and 4 * c.outer * form.n[-1].size * form.k_size > target.l2 // 2
    results = 4 * touched * size((*form.batch, *form.m, *form.n)) > target.l2
    operands = 4 * c.outer * form.k_size * (size(form.m) + form.n[-1].size)
    turns = c.outer > 1 and c.columns.parts == 1 and operands > target.l2 // 2
    apart = len(form.ka) == 1 and form.m[-1].a == 1 and 4 * abs(form.ka[0].a) >= FAR_APART and not c.slab
    beside = apart and c.outer == 1 and 4 * size(form.m) * form.k_size > 2 * target.l1
    bits = ((1, rows_of_a), (2, panels_of_b), (4, results), (8, turns), (16, beside))
    return sum(bit for bit, wanted in bits if wanted)


def group_of(form: Contraction, vectors: int, rows: Cut, flat: int, target: Target) -> int:
    """Leaves per part of k: a panel's part stays in a quarter of the second cache; small results are shared out by
    parts; sums of all parts that would fill memory are not kept apart."""
    leaves = -(-form.k_size // LEAF)
    if form.span is not None or form.chain:
        return 0
    fitting = max(1, target.l2 // 4 // (LEAF * vectors * 4 * WIDTH))
    tiles = size(form.outer) * -(-form.n[-1].size // (WIDTH * vectors))
    tiles *= rows.parts * (1 if flat else size(form.m[:-1]))
    if tiles < ENOUGH and tiles * rows.size * vectors * form.k_size > WORTH:
        fitting = min(fitting, max(2, leaves * tiles // ENOUGH))
    fitting = max(fitting, -(-leaves // MOST_GROUPS))
    group = 1 << (fitting.bit_length() - 1)
    group = group * 2 if group * MOST_GROUPS < leaves else group
    sums = 4 * size((*form.batch, *form.m, *form.n)) * -(-leaves // group)
    return 0 if group >= leaves or sums > 2 * target.l3 else group


def epilogue_cost(kernel: Kernel) -> int:
    """Instructions after the product, per vector, roughly."""
    return sum(20 if inst.op in OPS and OPS[inst.op].has("library") else 1 for inst in kernel.body) - 2


def touched(kernel: Kernel, form: Contraction) -> int:
    """How many tensors of the result's size the epilogue reads or writes."""
    return sum(bool(view.strides[form.n[-1].axis] and view.strides[form.m[-1].axis]) for view, _ in results(kernel))


def results(kernel: Kernel) -> list[tuple[View, bool]]:
    """What the epilogue loads and stores."""
    return [(inst["view"], inst.op == "store") for inst in kernel.body if inst.op in ("load", "store")]
