"""C code of kernels that reduce: one work-item per result, or one per lane of a row.

Takes: a kernel of kind rows or columns with reductions. Promises: one launch; the folded axes are swept once
per pass, and what a later pass needs again it computes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobspec.backends.c.folds import SHARED, Folds, Visit
from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits
from jobspec.backends.c.wide import WideScope
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest


def render(q: Request, writer: Writer) -> list[Launch]:
    rows = q.kernel.kind == "rows"
    outer = tuple(q.kernel.axes_of("outer" if rows else "kept"))
    inner = tuple(q.kernel.axes_of("row" if rows else "reduced"))
    nest = Nest(q.kernel, (outer, inner), -1, 1)
    team = q.schedule.get("team", 1) if rows else 1
    with q.function(writer, q.name, nest, nest.live) as top:
        if team > 1:
            writer.line(SHARED)
            task, groups, items = writer.let(q.index, f"({q.index})GROUP", "task"), nest.size(0), team
        else:
            task, groups, items = spread(writer, q.index, nest.size(0))
        scope = top.enter(outer, digits(writer, q.index, task, [q.size(a) for a in outer]))
        lanes = q.schedule.get("lanes", 1) if rows and team == 1 else 1
        Sweeps(q, scope, inner, team, lanes).all()
    return [Launch(q.name, groups, items, q.turns)]


@dataclass(frozen=True)
class Sweeps:
    """The passes of one row or column. `lanes`: neighbouring elements of a row that are computed in one; `item`,
    `shared`: see Folds."""

    q: Request
    scope: Scope
    inner: tuple[int, ...]
    team: int
    lanes: int
    item: str = field(default="ITEM", kw_only=True)
    shared: str = field(default="shared", kw_only=True)

    @property
    def nest(self) -> Nest:
        return self.scope.nest

    def all(self) -> None:
        for number in range(self.nest.last + 1):
            self._outside(number)
            self._sweep(number)
            self._stores(number)

    def _outside(self, number: int) -> None:
        """What pass `number` computes once."""
        nest = self.nest
        self.scope.run(i for i in nest.live if nest.depths[i] <= 1 and nest.passes[i] == number)

    def _sweep(self, number: int) -> None:
        nest = self.nest
        reduces, stores = nest.reduces(number), nest.stores(number, True)
        if not reduces and not stores:
            return
        roots = [*(nest.kernel.body[i].args[0] for i in reduces), *stores]
        needed = nest.needed(roots, self.scope.values)

        def visit(at: str) -> Mapping[int, str]:
            w = self.scope.writer
            here = self.scope.enter(self.inner, digits(w, self.q.index, at, [self.q.size(a) for a in self.inner]))
            here.run(needed)
            here.store(stores)
            return {i: here.everywhere(nest.kernel.body[i].args[0]) for i in reduces}

        def wide(at: str) -> Mapping[int, str]:
            here = WideScope.of(self.scope, self.inner[0], self.lanes).enter(self.inner, (at,))
            here.run(needed)
            here.store(stores)
            return {i: here.everywhere(nest.kernel.body[i].args[0]) for i in reduces}

        if reduces:
            self._fold(reduces, visit, wide)
        else:
            self._visit_all(visit, wide)

    def _visit_all(self, visit: Visit, wide: Visit) -> None:
        """Elements in any order."""
        w, size, index = self.scope.writer, self.nest.size(1), self.q.index
        if self.team > 1:
            with w.block(f"for ({index} e = {self.item}; e < {size}; e += {self.team})"):
                visit("e")
            return
        whole = size // self.lanes * self.lanes if self.lanes > 1 else 0
        if whole:
            with w.block(f"for ({index} e = 0; e < {whole}; e += {self.lanes})"):
                wide("e")
        if whole < size:
            with w.count(index, size, "e", str(whole)) as at:
                visit(at)

    def _fold(self, reduces: list[int], visit: Visit, wide: Visit) -> None:
        folds = self._folds(reduces)
        if self.q.kernel.kind == "rows":
            results = folds.rows(visit, wide if folds.lanes > 1 else None)
        else:
            results = folds.columns(visit)
        for i, name in results.items():
            self.scope.values[i] = Typed(self.nest.kernel.body[i].dtype, name, self.scope.width)

    def _folds(self, reduces: list[int]) -> Folds:
        hows = {i: str(self.nest.kernel.body[i]["how"]) for i in reduces}
        one_by_one = self.q.kernel.kind == "rows" and "argmax" in hows.values()
        lanes = 1 if one_by_one else max(self.lanes, self.scope.width)
        size, index = self.nest.size(1), self.q.index
        return Folds(self.scope.writer, hows, size, index, self.team, lanes, self.item, self.shared)

    def _stores(self, number: int) -> None:
        stores = self.nest.stores(number, False)
        if stores and self.team > 1:
            with self.scope.writer.block(f"if ({self.item} == 0)"):
                self.scope.store(stores)
        else:
            self.scope.store(stores)
