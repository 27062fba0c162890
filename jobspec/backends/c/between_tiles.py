"""C code of the two contractions of three kernels as one (between.py): tile by tile, by way of rows in shared memory.

Takes: a kernel of kind contract, its form, the rows that the group holds. Promises: the contraction order of
ir/contract.py to the bit; the first contraction's results and the last one's a are those rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.backends.c.contract import epilogue_of
from jobspec.backends.c.masked import Seen
from jobspec.backends.c.operand import Operand
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, Site, digits
from jobspec.backends.c.shared import Array, Piece
from jobspec.backends.c.tiled import Tile
from jobspec.ir.contraction import Extent, size
from jobspec.ir.kernel import View
from jobspec.ir.plan import Buffer
from jobspec.ir.tiles import PAD
from jobspec.ir.types import Type


@dataclass(frozen=True)
class Held:
    """Rows in shared memory; `number`: that of a buffer which stands for one of them."""

    number: int
    rows: int
    keys: int

    @property
    def pitch(self) -> int:
        return self.keys + PAD

    @property
    def buffer(self) -> Buffer:
        return Buffer("held", Type("f32", (self.rows, self.pitch)), "group", 0)

    def view(self, view: View, along: int) -> View:
        """`view` moved here: its axis `along` is the row."""
        return View(self.number, 0, tuple(int(axis == along) for axis in range(len(view.strides))))

    def open(self, site: Site, line: str) -> None:
        """Row `line` is what the buffer stands for, in the block at hand."""
        start = site.writer.let("int", f"({line}) * {self.pitch}", "start")
        site.pointers[self.number, 0, ()] = f"(held + {start})"


def stage_of(o: Operand) -> Array:
    """Two stages of an operand, as they lie in shared memory."""
    return Array(o.name, "float", (2, o.steps * o.pitch))


@dataclass(frozen=True)
class Part(Tile):
    """One of the two contractions, tile by tile of its columns."""

    shared: Held

    def all(self, batch: Mapping[Extent, str], row: str) -> None:
        """The results of all columns in the group's rows, which begin at `row`."""
        with self.writer.block():
            self._declare()
            self._tiles(batch, row)

    def _declare(self) -> None:
        """Where in a tile the work-item's sums lie."""
        self.writer.line(f"const int down = ITEM / {self.wide}, across = ITEM % {self.wide};")

    def _count(self, row: str) -> str:
        """How many tiles."""
        return str(-(-size(self.form.n) // self.operands[1].lines))

    def _tiles(self, batch: Mapping[Extent, str], row: str) -> None:
        w, b = self.writer, self.operands[1]
        nest, stores, live = epilogue_of(self.q, self.form)
        count = self._count(row)
        w.line("ROLLED")
        with w.count(self.q.index, count, "tile") as tile:
            column = w.let(self.q.index, f"{tile} * {b.lines}", "first")
            top = Scope(Site(w, nest, self.q.buffers, self.q.flags, self.q.index))
            operands = (self.form.a if o.side == "a" else self.form.b for o in self.moved)
            top.site.open(v for v in (*operands, *nest.views(live)) if v.buffer != self.shared.number)
            first = {"a": row, "b": column}
            self._sums([self._reach(top, o, batch, first[o.side]) for o in self.moved])
            self._finish(top.enter((e.axis for e in batch), batch.values()), live, stores, row, column)


@dataclass(frozen=True)
class Scores(Part):
    """The first: its results go into shared memory, those of rows that do not exist too."""

    seen: Seen | None

    def _count(self, row: str) -> str:
        """Up to the last that the group's last row sees."""
        most, w, (a, b) = super()._count(row), self.writer, self.operands
        if self.seen is None:
            return most
        rows, outer = size(self.form.m), next(e.size for e in self.form.m if e.size > 1)
        last = w.let(self.index, f"{row} + {a.lines} < {rows} ? {row} + {a.lines} - 1 : {rows - 1}", "last")
        keys = f"{last} / {rows // outer} + {int(self.seen.through)}"
        tiles = w.let(self.index, f"({keys} + {b.lines - 1}) / {b.lines}", "tiles")
        return w.let(self.index, f"{tiles} < {most} ? {tiles} : {most}", "tiles")

    def _finish(self, scope: Scope, live: frozenset[int], stores: list[int], row: str, column: str) -> None:
        w, q, form = self.writer, self.q, self.form
        w.line(f"float sum[{len(self.sums)}];")
        for i, s in enumerate(self.sums):
            w.line(f"sum[{i}] = {s};")
        with self._each(self.rows, False) as r:
            line, last = w.let("int", self._row(r), "line"), size(form.m) - 1
            at_m = w.let(q.index, f"{row} + {line} < {last} ? {row} + {line} : {last}", "m")
            self.shared.open(scope.site, line)
            rows = scope.enter((e.axis for e in form.m), digits(w, q.index, at_m, [e.size for e in form.m]))
            with self._each(self.columns, False) as c:
                at_n = w.let(q.index, f"{column} + {self._column(c)}", "n")
                w.line(f"if ({at_n} >= {size(form.n)}) continue;")
                here = rows.enter((form.n[0].axis,), (at_n,))
                here.values[form.product] = Typed("f32", w.let("float", f"sum[{self._sum(r, c)}]"))
                here.run(live)
                self._stored(here, stores, f"{row} + {line} <= {last}")

    def _stored(self, here: Scope, stores: list[int], inside: str) -> None:
        held = [i for i in stores if self.q.kernel.body[i]["view"].buffer == self.shared.number]
        here.store(held)
        if len(held) < len(stores):
            with self.writer.block(f"if ({inside})"):
                here.store(i for i in stores if i not in held)


@dataclass(frozen=True)
class Values(Part):
    """The last: its a lies in shared memory, row by row; its b takes the place of that of the scores."""

    piece: Piece

    @property
    def moved(self) -> tuple[Operand, ...]:
        return (self.operands[1],)

    def _declare(self) -> None:
        super()._declare()
        self.piece.open(self.writer, stage_of(self.operands[1]), 1)

    def _multiplied(self, stage: str, k: int) -> None:
        self.writer.line(f"const int begin = (int){stage} * {self.steps};")
        super()._multiplied(stage, k)

    def _staged(self, o: Operand, step: str, line: str) -> str:
        if o.side == "b":
            return super()._staged(o, step, line)
        return self.writer.let("float", f"held[({line}) * {self.shared.pitch} + begin + {step}]", "a")
