"""Native code of row kernels: a few rows at a time, or a long row in blocks.

Takes: a kernel of kind rows with reductions. Promises: row order exactly (folds.py); a short row stays in
registers from its first load to its last store; longer ones are swept, a few at a time, once per pass, and what is
dear to compute and needed again is kept in scratch. Of what goes past the caches the last pass goes along with the
next row (trailing.py). Few long rows are cut into blocks that threads share (split_rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from jobspec.backends.llvm import split_rows, trailing
from jobspec.backends.llvm.convention import Native, Order
from jobspec.backends.llvm.evaluate import get, put, run, run_stores
from jobspec.backends.llvm.folds import Fold, fold_lanes
from jobspec.backends.llvm.request import Layout, Request, cost, scratch_of
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.strips import vectors
from jobspec.backends.llvm.sweeps import Keeping, enter, next_row, sweep
from jobspec.backends.llvm.trailing import Train, can_trail
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES

#: rows of at most this many vectors are held in registers
HELD = 8
#: vectors of rows that are made side by side, and the most rows
SIDE_BY_SIDE, MOST_ROWS = 8, 4
#: bytes of rows swept side by side
NEAR = 20 * 1024
#: rows this long are cut where there are fewer than FEW
LONG, FEW = 16384, 64


@dataclass(frozen=True)
class Row:
    """One row: the scope of its outer axes, all insts that matter."""

    scope: Scope
    live: frozenset[int]

    @property
    def nest(self) -> Nest:
        return self.scope.nest

    def before(self, number: int) -> list[int]:
        """What pass `number` computes, in registers or once per row."""
        return [i for i in sorted(self.live) if self.nest.passes[i] == number]


def generate(q: Request) -> Native:
    """The functions of a kernel with reductions over its row."""
    (row,) = q.kernel.axes_of("row")
    nest = Nest(q.kernel, (tuple(q.kernel.axes_of("outer")), (row,)), row, 1)
    size, live = q.size(row), nest.live
    if size >= q.schedule.get("split_from", LONG) and nest.size(0) < FEW:
        return split_rows.generate(q, nest, live)
    sizes = [q.size(i) for i in nest.groups[0]]
    scratch = Layout()
    keeping = Keeping.plan(nest, live, size) if size > HELD * WIDTH else Keeping()

    def rows(entry: Scope, tasks: Sequence[Value]) -> list[Row]:
        scopes = [entry.enter(nest.groups[0], digits(entry.f, number, sizes)) for number in tasks]
        return [Row(scope, live) for scope in scopes]

    def held(entry: Scope, tasks: Sequence[Value]) -> None:
        hold(rows(entry, tasks), size)

    def task(entry: Scope, tasks: Sequence[Value]) -> None:
        places = [keeping.placed(lambda n: scratch_of(entry.f, scratch, n)) for _ in tasks]
        swept(rows(entry, tasks), size, places)

    def share(entry: Scope, lo: Value, hi: Value) -> None:
        trailing.go(Train(entry, size, keeping.placed(lambda n: scratch_of(entry.f, scratch, n))), lo, hi)

    weight = cost(q.kernel, live) * -(-size // WIDTH)
    if q.schedule.get("past", 0) > 0 and size > HELD * WIDTH and can_trail(nest, keeping):
        phase = q.shared_out(nest, "", nest.size(0), weight, live, share)
    else:
        most, emit = side_by_side(nest, size, len(keeping.first)), held if size <= HELD * WIDTH else task
        phase = q.together(nest, "", nest.size(0), weight, live, emit, most)
    order = Order(tuple((q.size(axis), axis) for group in nest.groups for axis in group), len(nest.groups[0]))
    return Native((replace(phase, order=order),), private=scratch.size)


def side_by_side(nest: Nest, size: int, kept: int) -> int:
    """How many rows are made at a time: while one waits for its fold, others go on."""
    vectors = -(-size // WIDTH)
    if vectors <= HELD:
        most = SIDE_BY_SIDE // vectors
    else:
        views = nest.views(nest.inner(nest.live))
        moving = [view for view in views if any(view.strides[axis] for axis in nest.groups[0])]
        most = NEAR // (4 * size * max(1, len(moving) + kept))
    return max(1, min(MOST_ROWS, most, nest.size(0)))


def hold(rows: Sequence[Row], size: int) -> None:
    """Short rows, unrolled, side by side."""
    nest, lanes = rows[0].nest, [lanes_of(row, size) for row in rows]
    for number in range(nest.last + 1):
        for row in rows:
            run(row.scope, 1, row.before(number))
        every = [here for across in lanes for here in across]
        every[0].f.beside([partial(run, here, 2, rows[0].before(number)) for here in every])
        run_stores(every, nest.stores(number, True))
        for row in rows:
            run_stores([row.scope], nest.stores(number, False))
        for row, across in zip(rows, lanes, strict=True):
            for i in nest.reduces(number):
                put(row.scope, i, fold_held(across, i, size))


def lanes_of(row: Row, size: int) -> list[Scope]:
    """The vectors of a row; asks for those of a row soon to come."""
    nest, scope = row.nest, row.scope
    lanes = vectors(scope.only(nest.views(nest.inner(row.live))), 0, size)
    for view, further in next_row(scope).items():
        for here in lanes:
            scope.f.prefetch(scope.f.offset(here.pointers[view], further * -(-HELD // len(lanes))))
    return lanes


def fold_held(lanes: list[Scope], i: int, size: int) -> Value:
    """Reduction `i` over a row in registers."""
    inst = lanes[0].nest.kernel.body[i]
    fold = Fold(lanes[0].f, inst["how"])
    halves = [fold.seed(WIDTH), fold.seed(WIDTH)]
    for c, here in enumerate(lanes):
        if c < 2 and here.mask is None and fold.how != "argmax":
            halves[c] = fold.first(get(here, inst.args[0], True))
        else:
            halves[c % 2] = enter(fold, halves[c % 2], here, inst.args[0])
    return fold.result(fold_lanes(fold, halves[0], halves[1], min(size, LANES)))


def swept(rows: Sequence[Row], size: int, keeping: Sequence[Keeping]) -> None:
    """Rows in memory, swept side by side once per pass."""
    nest, scopes = rows[0].nest, [row.scope for row in rows]
    for number in range(nest.last + 1):
        for row in rows:
            run(row.scope, 1, row.before(number))
        for scope, found in zip(scopes, sweep(scopes, number, size, keeping), strict=True):
            for i, value in found.items():
                put(scope, i, value)
            run_stores([scope], nest.stores(number, False))
