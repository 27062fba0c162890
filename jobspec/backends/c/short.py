"""C code of short rows on processors: several rows side by side by one work-item, each held in vectors.

Takes: a kernel of kind rows without argmax whose rows are a few whole vectors, and its schedule: `lanes` of a vector,
`rows` of a work-item. Promises: the row order of ir/contract.py to the bit. What a pass has computed is at hand
in later ones; rows wait for no other, so that one's long chain of operations runs while others' do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.backends.c.folded import Sweeps
from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope
from jobspec.backends.c.tree import COMBINE, combined, halved
from jobspec.backends.c.wide import WideScope
from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES, ROW_BLOCK
from jobspec.ir.kernel import Kernel


def suits(kernel: Kernel, lanes: int, rows: int) -> bool:
    """Whether rows fill every lane of the order in whole vectors, and are whole sets of `rows`."""
    row, outer = kernel.size("row"), kernel.size("outer")
    ordered = all(inst["how"] in COMBINE for inst in kernel.body if inst.op == "reduce")
    return ordered and lanes > 1 and row % LANES == 0 and row <= ROW_BLOCK and rows > 0 and outer % rows == 0


def render(q: Request, writer: Writer) -> list[Launch]:
    nest = Nest.of_folds(q.kernel)
    outer, inner = nest.groups
    beside, lanes = q.schedule.get("rows", 1), q.schedule.get("lanes", 1)
    with q.function(writer, q.name, nest, nest.live, lanes=lanes) as top:
        task, groups, items = spread(writer, q.index, nest.size(0) // beside)
        rows = []
        for number in range(beside):
            row = writer.let(q.index, f"{task} * {beside} + {number}", "row")
            rows.append(Row.open(q, top.enter_number(outer, row), inner, lanes))
        for number in range(nest.last + 1):
            together(rows, number)
    return [Launch(q.name, groups, items, q.turns)]


def together(rows: list[Row], number: int) -> None:
    """Pass `number` of all rows: their first vectors, their second ones, …"""
    for row in rows:
        row.begin(number)
    for _ in zip(*(row.visited(number) for row in rows), strict=True):
        pass
    for row in rows:
        row.end(number)


@dataclass(frozen=True)
class Row(Sweeps):
    """One row. `vectors`: a scope for each, which stays open from pass to pass."""

    vectors: tuple[WideScope, ...]

    @classmethod
    def open(cls, q: Request, scope: Scope, inner: tuple[int, ...], lanes: int) -> Row:
        count = q.size(inner[0]) // lanes
        whole = WideScope.of(scope, inner[0], lanes)
        return cls(q, scope, inner, 1, lanes, tuple(whole.enter(inner, (str(v * lanes),)) for v in range(count)))

    def begin(self, number: int) -> None:
        self._outside(number)

    def visited(self, number: int) -> Iterator[None]:
        """Vector by vector, all that the pass needs of it."""
        reduces, stores = self.nest.reduces(number), self.nest.stores(number, True)
        roots = [*(self.nest.kernel.body[i].args[0] for i in reduces), *stores]
        for here in self.vectors:
            here.run(self.nest.needed(roots, here.values))
            here.store(stores)
            yield

    def end(self, number: int) -> None:
        for i in self.nest.reduces(number):
            self.scope.values[i] = Typed(self.nest.kernel.body[i].dtype, self._folded(i))
        self._stores(number)

    def _folded(self, i: int) -> str:
        """Lanes by ascending chains, then by halves. No seed: -0 + x is x, NaN > x is never."""
        how, w = self._how(i), self.scope.writer
        type_ = vector_of("float", self.lanes)
        values = [here.everywhere(self.nest.kernel.body[i].args[0]) for here in self.vectors]
        parts = [w.let(type_, value, "lane") for value in values[: LANES // self.lanes]]
        for v, value in enumerate(values[len(parts) :]):
            at = v % len(parts)
            parts[at] = w.let(type_, combined(how, parts[at], value, self.lanes), "lane")
        return halved(w, how, parts, self.lanes)
