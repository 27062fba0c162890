"""C code of route kernels: tokens sorted by expert, by counting.

Takes: a kernel of kind route. Promises: the table of ir/routing.py; an index outside of the experts raises its flag and
counts as the first expert. A work-item owns one expert: it goes through all tokens once to count its own, and once
more, when all have counted, to place them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import Scope
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import Inst
from jobspec.ir.routing import Routing


def render(q: Request, writer: Writer) -> list[Launch]:
    nest = Nest(q.kernel, (tuple(q.kernel.axes_of("place")),), -1, 1)
    (inst,) = (inst for inst in q.kernel.body if inst.op == "route")
    sorting = Sorting(q, writer, nest, inst)
    return [sorting.launch("count", sorting.count), sorting.launch("place", sorting.place)]


@dataclass(frozen=True)
class Sorting:
    """The two functions. A line says `expert` for the work-item's own."""

    q: Request
    writer: Writer
    nest: Nest
    inst: Inst

    @cached_property
    def table(self) -> Routing:
        return Routing(self.nest.size(0), self.inst["size"], self.inst["block"])

    def launch(self, name: str, body: Callable[[Scope, str], None]) -> Launch:
        q, w = self.q, self.writer
        symbol = f"{q.name}_{name}"
        with q.function(w, symbol, self.nest, self.nest.live) as top:
            task, groups, items = spread(w, "int", self.table.size)
            body(top, task)
        return Launch(symbol, groups, items, q.turns)

    def count(self, top: Scope, expert: str) -> None:
        w = self.writer
        w.line("int many = 0;")
        with w.count("int", self.table.count, "token") as token:
            w.line(f"many += {self._expert(top, token)} == {expert};")
        w.line(f"{self._cell(top, 'counts', expert)} = many;")

    def place(self, top: Scope, expert: str) -> None:
        """Blocks begin behind those of the experts before; slots that stay empty say 0."""
        w, table = self.writer, self.table
        w.line("int block = 0;")
        with w.count("int", expert, "e") as before:
            w.line(f"block += {self._blocks(top, before)};")
        w.line(f"const int last = block + {self._blocks(top, expert)};")
        w.line(f"int slot = block * {table.block};")
        w.line(f"{self._cell(top, 'firsts', expert)} = slot;")
        with w.count("int", "last", "b", "block") as own:
            w.line(f"{self._cell(top, 'owners', own)} = {expert};")
        with w.count("int", table.count, "token") as token, w.block(f"if ({self._expert(top, token)} == {expert})"):
            w.line(f"{self._cell(top, 'slots', token)} = slot;")
            w.line(f"{self._cell(top, 'tokens', 'slot++')} = {token};")
        self._leave_empty(top, expert)

    def _leave_empty(self, top: Scope, expert: str) -> None:
        """The rest of the last block; behind the last expert's, the rest of the table."""
        w, table = self.writer, self.table
        is_last = f"{expert} == {table.size - 1}"
        with w.block(f"if ({is_last})"), w.count("int", table.blocks, "b", "last") as unused:
            w.line(f"{self._cell(top, 'owners', unused)} = -1;")
        end = w.let("int", f"{is_last} ? {table.places} : last * {table.block}", "end")
        with w.block(f"for (; slot < {end}; ++slot)"):
            w.line(f"{self._cell(top, 'tokens', 'slot')} = 0;")

    def _blocks(self, top: Scope, expert: str) -> str:
        return f"({self._cell(top, 'counts', expert)} + {self.table.block - 1}) / {self.table.block}"

    def _cell(self, top: Scope, part: str, at: str) -> str:
        return f"{top.site.pointer(self.inst['view'])}[{self.table.part(part)[0]} + {at}]"

    def _expert(self, top: Scope, token: str) -> str:
        """The expert of a token."""
        here = top.enter_number(self.nest.groups[0], token)
        here.run(self.nest.live)
        index = here.values[self.inst.args[0]].text
        good = self.writer.let("bool", f"(uint){index} < {self.table.size}u")
        here.raise_flag(self.inst["flag"], f"!{good}")
        return f"({good} ? {index} : 0)"
