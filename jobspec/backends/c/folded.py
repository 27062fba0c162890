"""C code of kernels that reduce: one work-item per result, or several to a row.

Takes: a kernel of kind rows or columns with reductions, and its schedule: `team` work-items share a row, a lane each;
or with `each` of them neighbouring lanes, which they read together, `rows` rows beside each other in a group; `each`
neighbouring columns are one work-item's. Promises: one launch; the folded axes are swept once per pass, and what a
later pass needs again it computes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd

from jobspec.backends.c.column_folds import ColumnFolds
from jobspec.backends.c.folds import Visits
from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.row_folds import SHARED, NeighbourFolds, RowFolds, TeamFolds
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits
from jobspec.backends.c.several import dividing, several
from jobspec.backends.c.wide import WideScope
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES
from jobspec.ir.kernel import scans


def render(q: Request, writer: Writer) -> list[Launch]:
    rows, nest = q.kernel.kind == "rows", Nest.of_folds(q.kernel)
    outer, inner = nest.groups
    team = (LANES if q.schedule.get("each", 1) > 1 else q.schedule.get("team", 1)) if rows else 1
    each = each_of(q, nest)
    if rows and each > 1:
        return [beside(q, writer, nest, each)]
    with q.function(writer, q.name, nest, nest.live) as top:
        if team > 1:
            writer.line(SHARED)
            task, groups, items = writer.let(q.index, f"({q.index})GROUP", "task"), nest.size(0), team
        else:
            task, groups, items = spread(writer, q.index, nest.size(0) // each)
        scope = neighbouring(q, top, outer, task, each)
        lanes = q.schedule.get("lanes", 1) if rows and team == 1 else 1
        Sweeps(q, scope, inner, team, lanes).all()
    return [Launch(q.name, groups, items, q.turns)]


def each_of(q: Request, nest: Nest) -> int:
    """Neighbours that a work-item takes: of a row, or of columns; a scan for the largest is made one by one."""
    along = nest.groups[1 if q.kernel.kind == "rows" else 0]
    return dividing(q.size(along[-1]), q.schedule.get("each", 1)) if along and not scans(q.kernel) else 1


def neighbouring(q: Request, top: Scope, outer: tuple[int, ...], task: str, each: int) -> Scope:
    """At number `task` of the outer axes, in runs of `each` along the last."""
    if each == 1:
        return top.enter_number(outer, task)
    w, sizes = top.writer, [q.size(a) for a in outer]
    *at, strip = digits(w, q.index, task, [*sizes[:-1], sizes[-1] // each])
    return several(top.enter(outer[:-1], at), outer[-1], each, w.let(q.index, f"{strip} * {each}", "first"))


def beside(q: Request, w: Writer, nest: Nest, each: int) -> Launch:
    """Rows of a group by teams beside each other, whose work-items take `each` lanes."""
    outer, inner = nest.groups
    team, rows = LANES // each, gcd(q.schedule.get("rows", 1), nest.size(0))
    with q.function(w, q.name, nest, nest.live, team * rows) as top:
        w.line(f"LOCAL float shared[{rows * LANES}];")
        w.line(f"const int team = ITEM / {team}, item = ITEM % {team};")
        task = w.let(q.index, f"({q.index})GROUP * {rows} + team", "task")
        scope, shared = top.enter_number(outer, task), f"(shared + team * {LANES})"
        Sweeps(q, scope, inner, team, 1, item="item", shared=shared, each=each).all()
    return Launch(q.name, nest.size(0) // rows, team * rows, q.turns)


@dataclass(frozen=True)
class Sweeps:
    """The passes of one row or column, or of neighbouring columns. `lanes`: neighbouring elements of a row that are
    computed in one; `item`, `shared`, `each`: see row_folds.py."""

    q: Request
    scope: Scope
    inner: tuple[int, ...]
    team: int
    lanes: int
    item: str = field(default="ITEM", kw_only=True)
    shared: str = field(default="shared", kw_only=True)
    each: int = field(default=1, kw_only=True)

    @property
    def nest(self) -> Nest:
        return self.scope.nest

    def all(self) -> None:
        for number in range(self.nest.last + 1):
            self._outside(number)
            self._sweep(number)
            self._stores(number)

    def first(self) -> None:
        """The first pass alone, up to what it folds."""
        self._outside(0)
        self._sweep(0)

    def rest(self) -> None:
        """What happens once per row or column, its folds at hand."""
        for number in range(self.nest.last + 1):
            self._outside(number)
            self._stores(number)

    def _outside(self, number: int) -> None:
        """What pass `number` computes once."""
        nest = self.nest
        self.scope.run(i for i in nest.live if nest.depths[i] <= 1 and nest.passes[i] == number)

    def _sweep(self, number: int) -> None:
        reduces, stores = self.nest.reduces(number), self.nest.stores(number, True)
        if reduces:
            self._fold(reduces, self._visits(reduces, stores))
        elif stores:
            self._visit_all(self._visits([], stores))

    def _visits(self, reduces: list[int], stores: list[int]) -> Visits:
        """What is done with each element: what is stored of it is stored, and what is folded of it is given back."""
        folded = {i: self.nest.kernel.body[i].args[0] for i in reduces}
        needed = self.nest.needed([*folded.values(), *stores], self.scope.known)

        def visited(here: Scope) -> Mapping[int, str]:
            here.run(needed)
            here.store(stores)
            return {
                i * len(here.copies) + c: copy.everywhere(arg)
                for i, arg in folded.items()
                for c, copy in enumerate(here.copies)
            }

        def wide(at: str) -> Mapping[int, str]:
            if self.each > 1:
                return visited(several(self.scope, self.inner[0], self.each, at))
            return visited(WideScope.of(self.scope, self.inner[0], self.lanes).enter(self.inner, (at,)))

        one_by_one = max(self.lanes, self.each) == 1 or any(self._how(i) == "argmax" for i in reduces)
        return Visits(lambda at: visited(self.scope.enter_number(self.inner, at)), None if one_by_one else wide)

    def _how(self, i: int) -> str:
        return str(self.nest.kernel.body[i]["how"])

    def _visit_all(self, visits: Visits) -> None:
        """Elements in any order."""
        w, size, index, wide = self.scope.writer, self.nest.size(1), self.q.index, visits.wide
        if self.team > 1:
            first, visit = (f"{self.item} * {self.each}", wide) if self.each > 1 else (self.item, visits.one)
            assert visit is not None
            with w.block(f"for ({index} e = {first}; e < {size}; e += {self.team * self.each})"):
                visit("e")
            return
        whole = size // self.lanes * self.lanes if wide is not None else 0
        if wide is not None and whole:
            with w.block(f"for ({index} e = 0; e < {whole}; e += {self.lanes})"):
                wide("e")
        if whole < size:
            with w.count(index, size, "e", str(whole)) as at:
                visits.one(at)

    def _fold(self, reduces: list[int], visits: Visits) -> None:
        if self.q.kernel.kind == "rows":
            results = self._row_folds(reduces, visits).all(visits)
        else:
            results = self._column_folds(reduces).all(visits.one)
        for number, name in results.items():
            self._result(number, name)

    def _result(self, number: int, name: str) -> None:
        """The result of a reduction, or of one of neighbouring columns, is at hand."""
        i, copy = divmod(number, len(self.scope.copies))
        self.scope.copies[copy].values[i] = Typed(self.nest.kernel.body[i].dtype, name, self.scope.width)

    def _row_folds(self, reduces: list[int], visits: Visits) -> RowFolds:
        w, hows = self.scope.writer, {i: self._how(i) for i in reduces}
        size, index = self.nest.size(1), self.q.index
        if self.each > 1:
            return NeighbourFolds(w, hows, size, index, 1, self.item, self.shared, self.each)
        if self.team > 1:
            return TeamFolds(w, hows, size, index, 1, self.item, self.shared)
        return RowFolds(w, hows, size, index, self.lanes if visits.wide is not None else 1)

    def _column_folds(self, reduces: list[int]) -> ColumnFolds:
        """By number: those of neighbouring columns, one after another."""
        n = len(self.scope.copies)
        hows = {i * n + c: self._how(i) for i in reduces for c in range(n)}
        return ColumnFolds(self.scope.writer, hows, self.nest.size(1), self.q.index, self.scope.width)

    def _stores(self, number: int) -> None:
        stores = self.nest.stores(number, False)
        if stores and self.team > 1:
            with self.scope.writer.block(f"if ({self.item} == 0)"):
                self.scope.store(stores)
        else:
            self.scope.store(stores)
