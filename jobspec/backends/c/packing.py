"""C code that copies an operand of a contraction into strips: what a tile reads at a step lies together.

Takes: a contraction's normal form, how many strips of how many columns. Promises: one launch that writes
scratch[outer][strip][k][column]; values are moved, none is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import digits, scaled
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Contraction, Extent, size


@dataclass(frozen=True)
class Packing:
    """`strips` of `width` columns along the last axis of n, from `first` on; those from `last` on are filled with
    0."""

    q: Request
    writer: Writer
    form: Contraction
    symbol: str
    first: int
    last: int
    strips: int
    width: int

    @property
    def outer(self) -> tuple[Extent, ...]:
        """The loops outside that b moves along."""
        return tuple(e for e in (*self.form.batch, *self.form.n[:-1]) if e.b)

    @property
    def size(self) -> int:
        """Elements of a strip."""
        return self.form.k_size * self.width

    @property
    def bytes(self) -> int:
        return 4 * size(self.outer) * self.strips * self.size

    def strip(self, at: Mapping[Extent, str], strip: str) -> str:
        """Number of a strip, given the positions outside."""
        number = "0"
        for extent in self.outer:
            number = f"({number} * {extent.size} + {at[extent]})"
        return f"{number} * {self.strips} + {strip}"

    def render(self) -> Launch:
        q, w, form = self.q, self.writer, self.form
        nest = Nest(q.kernel, ((),), -1, 1)
        with q.function(w, self.symbol, nest, ()) as top:
            top.site.open((form.b,))
            tasks = size(self.outer) * self.strips * self.size
            task, groups, items = spread(w, q.index, tasks)
            sizes = [*(e.size for e in self.outer), self.strips, form.k_size, self.width]
            *at, strip, k, column = digits(w, q.index, task, sizes)
            steps = digits(w, q.index, k, [e.size for e in form.kb])
            terms = [scaled(p, e.b) for p, e in zip((*at, *steps), (*self.outer, *form.kb), strict=True) if e.b]
            here = w.let(q.index, f"{self.first} + {strip} * {self.width} + {column}", "column")
            target = f"((GLOBAL float*)scratch)[{task}]"
            if self.first + self.strips * self.width > self.last:
                w.line(f"if ({here} >= {self.last}) {{ {target} = 0.0f; return; }}")
            terms.append(scaled(here, form.n[-1].b))
            w.line(f"{target} = {top.site.pointer(form.b)}[{' + '.join(terms)}];")
        return Launch(self.symbol, groups, items, q.turns, self.bytes)
