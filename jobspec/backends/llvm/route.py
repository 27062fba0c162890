"""Native code of route kernels: tokens sorted by expert, by counting.

Takes: a kernel of kind route. Promises: the table of ir/routing.py; an index outside of the experts raises its flag and
counts as the first expert. One task does it all: two walks over the tokens and one over the experts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from jobspec.backends.llvm.access import raise_flag
from jobspec.backends.llvm.builder import Int
from jobspec.backends.llvm.convention import Native
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.evaluate import get, run
from jobspec.backends.llvm.request import LINE, Request
from jobspec.backends.llvm.scope import Scope, digits
from jobspec.backends.llvm.values import Value, integer
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import Inst
from jobspec.ir.routing import Routing

NONE, ZERO, ONE = integer("i32", -1), integer("i32", 0), integer("i32", 1)


def generate(q: Request) -> Native:
    """The function of a kernel with one route."""
    nest = Nest(q.kernel, (tuple(q.kernel.axes_of("place")),), -1, 1)
    (number,) = (i for i, inst in enumerate(q.kernel.body) if inst.op == "route")
    inst = q.kernel.body[number]
    table = Routing(prod(q.size(axis) for axis in nest.groups[0]), inst["size"], inst["block"])

    def task(entry: Scope, _: Value) -> None:
        Sorting(entry, inst, table).emit()

    weight = 4 * (table.count + table.places + table.size)
    return Native((q.phase(nest, "", 1, weight, nest.live, task),), 0, -(-4 * table.size // LINE) * LINE)


@dataclass(frozen=True)
class Sorting:
    """The one task. Cells are 32 bits wide."""

    entry: Scope
    inst: Inst
    table: Routing

    @property
    def f(self) -> Function:
        return self.entry.f

    def emit(self) -> None:
        f, table = self.f, self.table
        self._fill("owners", NONE)
        self._fill("tokens", ZERO)
        self._fill("counts", ZERO)
        f.loop(0, table.count, 1, self._count)
        f.loop(0, table.size, 1, self._open, (Value("i64", "0"),))
        f.loop(0, table.count, 1, self._place)

    def _cell(self, part: str, at: Int) -> Value:
        start = self.f.offset(self.entry.site.base(self.inst["view"]), 4 * self.table.part(part)[0])
        return self.f.offset(start, self.f.imul(at, 4))

    def _next(self, expert: Int) -> Value:
        """The cell that holds the next free slot of an expert."""
        return self.f.offset(self.f.params[3], self.f.imul(expert, 4))

    def _fill(self, part: str, value: Value) -> None:
        first, last = self.table.part(part)
        self.f.loop(0, last - first, 1, lambda at: self.f.store(value, self._cell(part, at)))

    def _expert(self, token: Value, checked: bool) -> Value:
        """The expert of a token, i64."""
        f, nest = self.f, self.entry.nest
        axes = nest.groups[0]
        here = self.entry.enter(axes, digits(f, token, [nest.kernel.axes[a].size for a in axes]))
        run(here, 1, nest.live)
        index = get(here, self.inst.args[0], False)
        good = f.icmp("ult", index, integer("i32", self.table.size))
        if checked:
            raise_flag(here, self.inst["flag"], f.not_(good))
        return f.convert("zext", f.select(good, index, ZERO), "i64")

    def _count(self, token: Value) -> None:
        cell = self._cell("counts", self._expert(token, checked=True))
        self.f.store(self.f.iadd(self.f.load("i32", cell), ONE), cell)

    def _open(self, expert: Value, block: Value) -> list[Value]:
        """Blocks for one expert, from number `block` on; the number behind its last one."""
        f, slots = self.f, self.table.block
        first = f.convert("trunc", f.imul(block, slots), "i32")
        f.store(first, self._cell("firsts", expert))
        f.store(first, self._next(expert))
        count = f.convert("zext", f.load("i32", self._cell("counts", expert)), "i64")
        end = f.iadd(block, f.udiv(f.iadd(count, slots - 1), slots))
        owner = f.convert("trunc", expert, "i32")
        f.loop(block, end, 1, lambda at: f.store(owner, self._cell("owners", at)))
        return [end]

    def _place(self, token: Value) -> None:
        f = self.f
        cell = self._next(self._expert(token, checked=False))
        slot = f.load("i32", cell)
        f.store(f.iadd(slot, ONE), cell)
        f.store(slot, self._cell("slots", token))
        f.store(f.convert("trunc", token, "i32"), self._cell("tokens", f.convert("zext", slot, "i64")))
