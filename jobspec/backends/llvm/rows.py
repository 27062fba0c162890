"""Native code of row kernels: one row after another, or a long row in blocks.

Takes: a kernel of kind rows with reductions. Promises: row order exactly (folds.py); a short row stays in
registers from its first load to its last store; a longer one is swept once per pass, and what is
dear to compute and needed again is kept in scratch. Few long rows are cut into blocks that threads share
(split_rows.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm import split_rows
from jobspec.backends.llvm.convention import Native
from jobspec.backends.llvm.evaluate import get, put, run, run_stores
from jobspec.backends.llvm.folds import Fold, fold_lanes
from jobspec.backends.llvm.request import Layout, Request, cost, scratch_of
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.strips import vectors
from jobspec.backends.llvm.sweeps import Keeping, enter, sweep
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES

#: rows of at most this many vectors are held in registers
HELD = 8
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

    def task(entry: Scope, number: Value) -> None:
        scope = entry.enter(nest.groups[0], digits(entry.f, number, sizes))
        if size <= HELD * WIDTH:
            hold(Row(scope, live), size)
        else:
            swept(Row(scope, live), size, keeping.placed(lambda n: scratch_of(scope.f, scratch, n)))

    weight = cost(q.kernel, live) * -(-size // WIDTH)
    phase = q.phase(nest, "", nest.size(0), weight, live, task)
    return Native((phase,), private=scratch.size)


def hold(row: Row, size: int) -> None:
    """A short row, unrolled."""
    nest, scope = row.nest, row.scope
    lanes = vectors(scope.only(nest.views(nest.inner(row.live))), size)
    for number in range(nest.last + 1):
        computed = row.before(number)
        run(scope, 1, computed)
        for here in lanes:
            run(here, 2, computed)
        for here in lanes:
            run_stores(here, nest.stores(number, True))
        run_stores(scope, nest.stores(number, False))
        for i in nest.reduces(number):
            put(scope, i, fold_held(lanes, i, size))


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


def swept(row: Row, size: int, keeping: Keeping) -> None:
    """A row in memory, swept once per pass."""
    nest, scope = row.nest, row.scope
    for number in range(nest.last + 1):
        run(scope, 1, row.before(number))
        for i, value in sweep(scope, number, size, keeping).items():
            put(scope, i, value)
        run_stores(scope, nest.stores(number, False))
