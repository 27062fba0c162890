"""Native code of row kernels with few long rows: threads share the blocks of a row.

Takes: a kernel of kind rows with reductions. Promises: for each pass, a phase whose tasks are blocks, which
leave their results in shared scratch, and a phase whose tasks are rows, which fold them by the adjacent
tree and do what happens once per row. Nothing is kept between phases but results of reductions.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.convention import Native, Phase
from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.evaluate import put, run, run_stores
from jobspec.backends.llvm.folds import fold_adjacent, types_of
from jobspec.backends.llvm.request import Layout, Request, cost, shared
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.sweeps import Keeping, block, fold_of, roots
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import ROW_BLOCK


@dataclass(frozen=True)
class Cut:
    """`blocks`: per row; `parts`: reduction and part of its state → where its array of block results lies."""

    q: Request
    nest: Nest
    live: frozenset[int]
    size: int
    blocks: int
    parts: Layout

    def outer_sizes(self) -> list[int]:
        return [self.q.size(i) for i in self.nest.groups[0]]

    def arrays(self, scope: Scope, i: int, row: Value) -> list[Value]:
        """Pointers to the results of a row's blocks for reduction `i`, one per part of its state."""
        f, rows = scope.f, self.nest.size(0)
        offsets = [self.parts.place((i, k), 4 * rows * self.blocks) for k in range(len(types_of(fold_of(scope, i), 1)))]
        return [f.offset(shared(f, at), f.imul(row, 4 * self.blocks)) for at in offsets]


def generate(q: Request, nest: Nest, live: frozenset[int]) -> Native:
    """The phases of a kernel whose rows are cut into blocks."""
    size = q.size(nest.vector)
    cut = Cut(q, nest, live, size, -(-size // ROW_BLOCK), Layout())
    phases: list[Phase] = []
    for number in range(nest.last + 1):
        if roots(nest, number):
            phases.append(block_phase(cut, number))
        if nest.reduces(number) or number == nest.last:
            phases += row_phase(cut, number)
    return Native(tuple(phases), shared=cut.parts.size)


def block_phase(cut: Cut, number: int) -> Phase:
    """Pass `number` over all blocks of all rows."""
    q, nest = cut.q, cut.nest
    insts = nest.needed(roots(nest, number))

    def task(entry: Scope, at: Value) -> None:
        *outer, b = digits(entry.f, at, [*cut.outer_sizes(), cut.blocks])
        scope = entry.enter(nest.groups[0], outer)
        recall(cut, scope, entry.f.udiv(at, cut.blocks), insts)
        run(scope, 1, insts)
        one_block(cut, scope, number, at, b)

    tasks = nest.size(0) * cut.blocks
    return q.phase(nest, f".blocks{number}", tasks, cost(q.kernel, insts) * ROW_BLOCK // WIDTH, insts, task)


def one_block(cut: Cut, scope: Scope, number: int, task: Value, b: Int) -> None:
    """Block `b`; the last one may be shorter."""
    f, rest = scope.f, cut.size % ROW_BLOCK
    start = f.imul(b, ROW_BLOCK)

    def of(length: int) -> None:
        (states,) = block([scope], number, start, length, [Keeping()])
        for i, state in states.items():
            row = f.udiv(task, cut.blocks)
            for value, array in zip(state, cut.arrays(scope, i, row), strict=True):
                f.store(value, f.offset(array, f.imul(b, 4)))

    if rest:
        f.when(f.icmp("eq", b, cut.blocks - 1), lambda: of(rest), lambda: of(ROW_BLOCK))
    else:
        of(ROW_BLOCK)


def row_phase(cut: Cut, number: int) -> list[Phase]:
    """Fold the blocks' results of pass `number`, then what happens once per row; nothing if nothing does."""
    q, nest, body = cut.q, cut.nest, cut.q.kernel.body
    stores = due(nest, number)
    reduces = nest.reduces(number)
    if not stores and not reduces:
        return []
    insts = nest.needed(stores)

    def task(entry: Scope, row: Value) -> None:
        scope = entry.enter(nest.groups[0], digits(entry.f, row, cut.outer_sizes()))
        for i in reduces:
            fold = fold_of(scope, i)
            state = fold_adjacent(fold, cut.arrays(scope, i, row), types_of(fold, 1), cut.blocks, 4)
            put(scope, i, fold.result(state))
        recall(cut, scope, row, [i for i in insts if body[i].op == "reduce" and i not in reduces])
        run(scope, 1, insts)
        run_stores([scope], stores)

    return [q.phase(nest, f".rows{number}", nest.size(0), cut.blocks, insts, task)]


def due(nest: Nest, number: int) -> list[int]:
    """Stores once per row that follow pass `number`: those whose values its reductions complete. One into a buffer
    that is also loaded waits for the end, when no block loads it any more."""
    waiting = [i for i in nest.stores(nest.last, False) if nest.in_place(i)]
    if number == nest.last:
        return waiting
    known = [*nest.stores(number + 1, False), *(nest.stores(0, False) if number == 0 else [])]
    return [i for i in known if i not in waiting]


def recall(cut: Cut, scope: Scope, row: Value, insts: list[int] | frozenset[int]) -> None:
    """Take the results of earlier reductions among `insts` from scratch, where the first blocks' results were."""
    for i in sorted(insts):
        if cut.q.kernel.body[i].op == "reduce":
            fold = fold_of(scope, i)
            put(scope, i, scope.f.load(types_of(fold, 1)[-1], cut.arrays(scope, i, row)[-1]))
