"""C code that copies an operand of a contraction into strips: what a tile reads at a step lies together.

Takes: a contraction's normal form, how many strips of how many columns. Promises: one launch that writes
scratch[outer][strip][k][column]; values are moved, none is computed. Where steps lie together and columns apart,
squares of `lanes` by `lanes` are turned in registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import Scope, digits, flattened, scaled, walked
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Contraction, Extent, size

#: work-items of a group that turns squares
SQUARES = 8


@dataclass(frozen=True)
class Packing:
    """`strips` of `width` columns along the last axis of n, from `first` on; those from `last` on are filled with
    0. `lanes`: of the vectors that may move values."""

    q: Request
    writer: Writer
    form: Contraction
    symbol: str
    first: int
    last: int
    strips: int
    width: int
    lanes: int = 1

    @property
    def outer(self) -> tuple[Extent, ...]:
        """The loops outside that b moves along."""
        return tuple(e for e in self.form.outer if e.b)

    @property
    def size(self) -> int:
        """Elements of a strip."""
        return self.form.k_size * self.width

    @property
    def bytes(self) -> int:
        return 4 * size(self.outer) * self.strips * self.size

    def strip(self, at: Mapping[Extent, str], strip: str) -> str:
        """Number of a strip, given the positions outside."""
        number = flattened((at[e] for e in self.outer), (e.size for e in self.outer))
        return f"{number} * {self.strips} + {strip}"

    @property
    def in_squares(self) -> bool:
        """Whether steps lie together, and both they and columns are whole vectors."""
        whole = self.first + self.strips * self.width == self.last and self.width % self.lanes == 0
        last = self.form.kb[-1]
        return self.lanes > 1 and whole and last.b == 1 and last.size % self.lanes == 0

    def render(self) -> Launch:
        return self._squares() if self.in_squares else self._elements()

    def _squares(self) -> Launch:
        """A square of `lanes` steps of `lanes` columns by each work-item."""
        q, w, form, lanes = self.q, self.writer, self.form, self.lanes
        with q.function(w, self.symbol, Nest(q.kernel, ((),), -1, 1), (), lanes=lanes) as top:
            top.site.open((form.b,))
            sizes = [*(e.size for e in self.outer), self.strips, form.k_size // lanes, self.width // lanes]
            task, groups, items = spread(w, q.index, prod(sizes), SQUARES)
            *at, strip, steps, columns = digits(w, q.index, task, sizes)
            k = w.let(q.index, f"{steps} * {lanes}", "k")
            column = w.let(q.index, f"{self.first} + {strip} * {self.width} + {columns} * {lanes}", "column")
            moved = digits(w, q.index, k, [e.size for e in form.kb])
            terms = walked([*at, *moved], (e.b for e in (*self.outer, *form.kb)))
            rows = [self._row(top, [*terms, scaled(f"({column} + {c})", form.n[-1].b)]) for c in range(lanes)]
            first = f"(long)({self.strip(dict(zip(self.outer, at, strict=True)), strip)}) * {self.size}"
            place = w.let("long", f"{first} + {k} * {self.width} + {columns} * {lanes}", "place")
            for c, row in enumerate(turned(w, rows, lanes)):
                w.line(f"vstore{lanes}({row}, 0, (GLOBAL float*)scratch + {place} + {c * self.width});")
        return Launch(self.symbol, groups, items, q.turns, self.bytes)

    def _row(self, top: Scope, terms: list[str]) -> str:
        load = f"vload{self.lanes}(0, {top.site.pointer(self.form.b)} + {' + '.join(terms)})"
        return self.writer.let(f"float{self.lanes}", load, "row")

    def _elements(self) -> Launch:
        q, w, form = self.q, self.writer, self.form
        nest = Nest(q.kernel, ((),), -1, 1)
        with q.function(w, self.symbol, nest, ()) as top:
            top.site.open((form.b,))
            tasks = size(self.outer) * self.strips * self.size
            task, groups, items = spread(w, q.index, tasks)
            sizes = [*(e.size for e in self.outer), self.strips, form.k_size, self.width]
            *at, strip, k, column = digits(w, q.index, task, sizes)
            steps = digits(w, q.index, k, [e.size for e in form.kb])
            terms = walked([*at, *steps], (e.b for e in (*self.outer, *form.kb)))
            here = w.let(q.index, f"{self.first} + {strip} * {self.width} + {column}", "column")
            target = f"((GLOBAL float*)scratch)[{task}]"
            if self.first + self.strips * self.width > self.last:
                w.line(f"if ({here} >= {self.last}) {{ {target} = 0.0f; return; }}")
            terms.append(scaled(here, form.n[-1].b))
            w.line(f"{target} = {top.site.pointer(form.b)}[{' + '.join(terms)}];")
        return Launch(self.symbol, groups, items, q.turns, self.bytes)


def turned(w: Writer, rows: list[str], lanes: int) -> list[str]:
    """The columns of a square of `lanes` rows: each round joins rows half the square apart, element by element."""
    half = lanes // 2
    for _ in range(lanes.bit_length() - 1):
        joined = []
        for low, high in zip(rows[:half], rows[half:], strict=True):
            for side in ("lo", "hi"):
                name = w.name("turn")
                w.line(f"float{lanes} {name}; {name}.even = {low}.{side}; {name}.odd = {high}.{side};")
                joined.append(name)
        rows = joined
    return rows
