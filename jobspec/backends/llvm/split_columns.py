"""Native code of column kernels with few columns and many leaves: threads share the leaves.

Takes: a kernel of kind columns. Promises: for each pass, a phase whose tasks are leaves of a strip, which leave
their chains in shared scratch, and a phase whose tasks are strips, which fold them by the adjacent tree and
do what happens once per column. Nothing is kept between phases but results of reductions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobspec.backends.llvm.column_folds import Leaves, Shape, Strip, before, chain, fold_of, opened_strip
from jobspec.backends.llvm.convention import Native, Phase
from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.evaluate import put, run_stores
from jobspec.backends.llvm.folds import types_of
from jobspec.backends.llvm.request import LINE, Layout, Request, cost, shared
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.split_rows import due
from jobspec.backends.llvm.sweeps import roots
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF


@dataclass(frozen=True)
class Cut:
    """`parts`: reduction and part of its state → where its array of leaf results lies."""

    q: Request
    nest: Nest
    shape: Shape
    parts: Layout

    @property
    def size(self) -> int:
        return self.nest.size(2)

    @property
    def leaves(self) -> int:
        return -(-self.size // LEAF)

    @property
    def strips(self) -> int:
        return self.nest.size(0) * self.shape.strips

    def results(self, scope: Scope, strip: Int, insts: Iterable[int]) -> Leaves:
        """Where the leaves of a strip (flattened over outer positions) lie, for the reductions among `insts`."""
        f, step = scope.f, self.leaves * self.shape.vectors * LINE
        arrays = {}
        for i in sorted(insts):
            if self.q.kernel.body[i].op == "reduce":
                parts = range(len(types_of(fold_of(scope, i), WIDTH)))
                offsets = [self.parts.place((i, k), self.strips * step) for k in parts]
                arrays[i] = [f.offset(shared(f, at), f.imul(strip, step)) for at in offsets]
        return Leaves(arrays, self.shape.vectors)

    def positions(self, f: Scope, strip: Int) -> list[Int]:
        """Outer positions and the strip's number at them."""
        return digits(f.f, strip, [*(self.q.size(i) for i in self.nest.groups[0]), self.shape.strips])


def generate(q: Request, nest: Nest, shape: Shape) -> Native:
    """The phases of a kernel whose columns are cut into leaves."""
    cut = Cut(q, nest, shape, Layout())
    phases: list[Phase] = []
    for number in range(nest.last + 1):
        if roots(nest, number):
            phases.append(leaf_phase(cut, number))
        if nest.reduces(number) or due(nest, number):
            phases.append(strip_phase(cut, number))
    return Native(tuple(phases), shared=cut.parts.size)


def leaf_phase(cut: Cut, number: int) -> Phase:
    """Pass `number` over all leaves of all strips."""
    q, nest, shape = cut.q, cut.nest, cut.shape
    insts = nest.needed(roots(nest, number))

    def task(entry: Scope, at: Value) -> None:
        strip, leaf = digits(entry.f, at, [cut.strips, cut.leaves])
        *outer, within = cut.positions(entry, strip)
        scope = entry.enter(nest.groups[0], outer)

        def of(last: bool) -> None:
            columns = opened_strip(scope, shape, within, last)
            recall(cut, columns, strip, insts)
            before(columns, insts)
            one_leaf(cut, columns, number, strip, leaf)

        shape.each(entry.f, within, of)

    weight = cost(q.kernel, insts) * min(LEAF, cut.size) * shape.vectors
    return q.phase(nest, f".leaves{number}", cut.strips * cut.leaves, weight, insts, task)


def one_leaf(cut: Cut, columns: Strip, number: int, strip: Int, leaf: Int) -> None:
    """One leaf of one strip; the last one may be shorter."""
    f, rest, reduces = columns.base.f, cut.size % LEAF, cut.nest.reduces(number)

    def of(count: int) -> None:
        states = chain(columns, number, f.imul(leaf, LEAF), count)
        cut.results(columns.base, strip, reduces).put(f, leaf, states)

    if rest:
        f.when(f.icmp("eq", leaf, cut.leaves - 1), lambda: of(rest), lambda: of(LEAF))
    else:
        of(LEAF)


def strip_phase(cut: Cut, number: int) -> Phase:
    """Fold the leaves of pass `number`, then what happens once per column."""
    q, nest, shape = cut.q, cut.nest, cut.shape
    stores, reduces = due(nest, number), nest.reduces(number)
    insts = nest.needed(stores)

    def task(entry: Scope, strip: Value) -> None:
        *outer, within = cut.positions(entry, strip)
        scope = entry.enter(nest.groups[0], outer)

        def of(last: bool) -> None:
            columns = opened_strip(scope, shape, within, last)
            fold_strip(cut, columns, strip, reduces)
            recall(cut, columns, strip, insts - set(reduces))
            before(columns, insts)
            for v, here in enumerate(columns.lanes):
                run_stores([here], [i for i in stores if v == 0 or nest.depths[i] == 2])

        shape.each(entry.f, within, of)

    return q.phase(nest, f".strips{number}", cut.strips, cut.leaves * shape.vectors, insts, task)


def fold_strip(cut: Cut, columns: Strip, strip: Int, reduces: list[int]) -> None:
    leaves = cut.results(columns.base, strip, reduces)
    for i in reduces:
        for v, here in enumerate(columns.lanes):
            put(here, i, leaves.fold(fold_of(here, i), i, v, cut.leaves))


def recall(cut: Cut, columns: Strip, strip: Int, insts: Iterable[int]) -> None:
    """Take the results of earlier reductions among `insts` from scratch."""
    leaves = cut.results(columns.base, strip, insts)
    for i in leaves.arrays:
        for v, here in enumerate(columns.lanes):
            put(here, i, leaves.recall(here.f, fold_of(here, i), i, v))
