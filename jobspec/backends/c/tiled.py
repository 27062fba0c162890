"""C code of contractions for GPUs: a group of work-items takes a tile, by way of shared memory and registers.

Takes: a kernel of kind contract whose operands no index chooses, and its schedule: `high` × `wide` work-items, each
with `rows` × `columns` sums; `stage`: steps of k that are in shared memory at a time, a divisor of the leaf. Promises:
the contraction order of ir/contract.py to the bit; any schedule gives the same bits.

Two stages lie in shared memory: while one is multiplied, the next is copied into the other, on the side where the
device can do so; one barrier per stage is enough. What lies beyond the tile's border is read at the border
and comes to nothing; k runs as far as it goes and no further. Four neighbours are fetched in one access wherever they
lie at a multiple of four; so are results stored and operands of the epilogue read, as sums are neighbours by fours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from jobspec.backends.c.contract import epilogue_of
from jobspec.backends.c.lines import line_of, together_of
from jobspec.backends.c.operand import WIDTHS, Operand
from jobspec.backends.c.request import WIDEST, Launch, Request
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits, scaled, walked
from jobspec.backends.c.several import several
from jobspec.backends.c.tree import add
from jobspec.backends.c.writer import Writer
from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Extent, size
from jobspec.ir.kernel import lie_together
from jobspec.ir.types import HALVES, SIZES

#: how far behind the last element positions may be computed
STAGED = 1 << 20
#: statements behind the sums that are worth repeating for every sum of a tile
REPEATED = 512


def render(q: Request, writer: Writer) -> list[Launch]:
    get = q.schedule.get
    return [Tile(q, writer, q.form, get("rows", 4), get("columns", 4), get("high", 16), get("wide", 16)).render()]


@dataclass(frozen=True)
class Tile:
    """One function."""

    q: Request
    writer: Writer
    form: Contraction
    rows: int
    columns: int
    high: int
    wide: int

    @property
    def steps(self) -> int:
        return self.q.schedule.get("stage", 8)

    @property
    def items(self) -> int:
        return self.high * self.wide

    @property
    def sums(self) -> list[str]:
        return [f"s{i}" for i in range(self.rows * self.columns)]

    @property
    def operands(self) -> tuple[Operand, Operand]:
        form, steps, items = self.form, self.steps, self.items
        return (
            self._widened(Operand("left", form.m, form.ka, "a", self.rows * self.high, steps, items)),
            self._widened(Operand("right", form.n, form.kb, "b", self.columns * self.wide, steps, items)),
        )

    @property
    def index(self) -> str:
        """The C type of positions: of an axis, of a group, in a buffer."""
        form, buffers = self.form, self.q.buffers
        groups = size(form.batch) * size(form.m) * size(form.n)
        largest = max(buffers[view.buffer].type.size for view, _ in self.q.kernel.views())
        return "int" if max(groups, form.k_size, largest) <= WIDEST - STAGED else "long"

    def _widened(self, o: Operand) -> Operand:
        """As many neighbours in one access as always lie together."""
        view = self.form.a if o.side == "a" else self.form.b
        buffer = self.q.buffers[view.buffer]
        o = replace(o, half=buffer.type.dtype == HALVES)
        for width in WIDTHS[o.stored]:
            even = buffer.offset % (SIZES[buffer.type.dtype] * width) == 0
            if even and o.shared_out(width) and self.form.lie_together(o.side, width):
                return replace(o, width=width)
        return o

    @property
    def moved(self) -> tuple[Operand, ...]:
        """Those that come from memory by way of stages."""
        return self.operands

    def render(self) -> Launch:
        q, w, form = self.q, self.writer, self.form
        nest, stores, live = epilogue_of(q, form)
        a, b = self.operands
        counts = [-(-size(form.m) // a.lines), -(-size(form.n) // b.lines)]
        groups = size(form.batch) * counts[0] * counts[1]
        with q.function(w, q.name, nest, live, self.items) as top:
            top.site.open((form.a, form.b))
            self._declare()
            *at, row, column = digits(w, self.index, f"({self.index})GROUP", [*(e.size for e in form.batch), *counts])
            row, column = (w.let(self.index, f"{p} * {o.lines}", "first") for p, o in ((row, a), (column, b)))
            batch = dict(zip(form.batch, at, strict=True))
            self._sums((self._reach(top, a, batch, row), self._reach(top, b, batch, column)))
            self._finish(top.enter((e.axis for e in form.batch), at), live, stores, row, column)
        return Launch(q.name, groups, self.items, q.turns)

    def _declare(self) -> None:
        """What the group shares, and where in the tile the work-item's sums lie."""
        for o in self.moved:
            self.writer.line(f"LOCAL float {o.name}[2][{o.steps * o.pitch}];")
        self.writer.line(f"const int down = ITEM / {self.wide}, across = ITEM % {self.wide};")

    def _row(self, r: int | str) -> str:
        """The line of a of the work-item's row `r`."""
        return line_of(r, "down", self.high, self.rows)

    def _column(self, c: int | str) -> str:
        return line_of(c, "across", self.wide, self.columns)

    def _sum(self, r: str, c: str) -> str:
        """The number of the sum at a row and a column of the work-item's."""
        return f"{r} * {self.columns} + {c}"

    # ---- from memory

    def _reach(self, top: Scope, o: Operand, batch: Mapping[Extent, str], first: str) -> list[str]:
        """Pointers to the lines that the work-item fetches, at the first step."""
        w, last = self.writer, size(o.extents) - (1 if o.along_k else o.width)
        view = self.form.a if o.side == "a" else self.form.b
        base = walked(batch.values(), map(o.stride, batch))
        found: dict[tuple[str, str], str] = {}
        pointed = [self._pointed(o, j) for j in range(o.each)]
        keys = [(o.line(j), o.parts(j)[0] if self._simple(o) else "") for j in pointed]
        for line, step in dict.fromkeys(keys):
            at = w.let(self.index, f"{first} + {line} < {last} ? {first} + {line} : {last}", "at")
            places = digits(w, self.index, at, [e.size for e in o.extents])
            terms = walked(places, map(o.stride, o.extents))
            terms += walked([step], [o.stride(o.k[0])]) if step else []
            name = found[line, step] = w.name("p")
            fixed = "" if self._simple(o) else "const "
            w.line(f"GLOBAL const {o.stored}* {fixed}{name} = {' + '.join([top.site.pointer(view), *base, *terms])};")
        return [found[key] for key in keys]

    def _pointed(self, o: Operand, j: int) -> int:
        """The fetch that the pointer of fetch `j` is for."""
        return j

    def _simple(self, o: Operand) -> bool:
        """Whether a stage lies a fixed distance behind the one before, whole."""
        return o.single and self.form.k_size % self.steps == 0

    def _fetch(self, o: Operand, pointers: Sequence[str], stage: str, half: str) -> None:
        """The stage's elements on their way to a half of shared memory; behind the last step, the last again."""
        for j, place in enumerate(self._steps(o, stage)):
            step, line, start = o.step(j), o.line(j), f"{pointers[j]} + {place}"
            lanes = o.width if o.along_k else 1
            for e in range(lanes):
                into = self._place(o, f"{step} + {e}" if e else step, line)
                self.writer.line(f"COPY{o.width // lanes}(&{o.name}[{half}][{into}], {start} + {e});")
        self._advance(o, pointers)

    def _advance(self, o: Operand, pointers: Sequence[str]) -> None:
        """On to the next stage, if all lie equally far apart."""
        for pointer in dict.fromkeys(pointers) if self._simple(o) else ():
            self.writer.line(f"{pointer} += {self.steps * o.stride(o.k[0])};")

    def _steps(self, o: Operand, stage: str) -> Iterator[str]:
        """How far from its pointer each fetch lies; a pointer of what is simple goes on from stage to stage."""
        if self._simple(o):
            yield from (str(o.parts(j)[1] * o.stride(o.k[0])) for j in range(o.each))
            return
        places: dict[str, str] = {}
        for j in range(o.each):
            step = o.step(j)
            places[step] = places.get(step) or self._walk(o, stage, step)
            yield places[step]

    def _walk(self, o: Operand, stage: str, step: str) -> str:
        """How far from the first step one lies, or the last where there is none."""
        w, last = self.writer, self.form.k_size - (o.width if o.along_k else 1)
        at = w.let(self.index, f"({self.index}){stage} * {self.steps} + {step}", "k")
        at = w.let(self.index, f"{at} < {last} ? {at} : {last}", "k")
        parts = digits(w, self.index, at, [e.size for e in o.k])
        terms = walked(parts, map(o.stride, o.k))
        return w.let(self.index, " + ".join(terms) or "0", "k")

    def _place(self, o: Operand, step: str, line: str) -> str:
        """Of an element in a stage."""
        return f"{scaled(step, o.pitch)} + {line}"

    # ---- sums

    def _sums(self, pointers: Sequence[list[str]]) -> None:
        """Declares the sums and runs through k."""
        w, k = self.writer, self.form.k_size
        stages, leaves = -(-k // self.steps), -(-k // LEAF)
        w.line(f"float {', '.join(f'{s} = 0.0f' for s in self.sums)};")
        if leaves > 1:
            w.line(f"float stack[{leaves.bit_length()}][{len(self.sums)}]; int top = 0;")
        self._bring(pointers, "0", "0")
        self._arrive("0")
        w.line("ROLLED")
        with w.count("int", stages, "stage") as stage:
            w.line(f"const int here = {stage} & 1;")
            with w.block(f"if ({stage} + 1 < {stages})"):
                self._bring(pointers, f"({stage} + 1)", "1 - here")
            self._multiplied(stage, k)
            self._arrive("1 - here")
            if leaves > 1:
                self._leaf(stage, stages)
        if leaves > 1:
            self._results()

    def _bring(self, pointers: Sequence[list[str]], stage: str, half: str) -> None:
        for o, reach in zip(self.moved, pointers, strict=True):
            self._fetch(o, reach, stage, half)

    def _arrive(self, half: str) -> None:
        """What the work-items have brought is there for all of the group."""
        self.writer.line("COPIED;")
        self.writer.line("SYNC;")

    def _multiplied(self, stage: str, k: int) -> None:
        """A stage's steps: all of them where k has them, else as many as it has."""
        w, steps = self.writer, self.steps
        if k % steps == 0:
            self._whole()
            return
        most = w.let("int", f"(int)({k} - ({self.index}){stage} * {steps})", "left")
        with w.block(f"if ({most} >= {steps})"):
            self._whole()
        with w.block("else"):
            w.line("ROLLED")
            with w.count("int", most, "k") as step:
                self._step(step)

    def _whole(self) -> None:
        self.writer.line("UNROLLED")
        with self.writer.count("int", self.steps, "k") as step:
            self._step(step)

    def _step(self, step: str) -> None:
        w, (a, b) = self.writer, self.operands
        x = [self._staged(a, step, self._row(r)) for r in range(self.rows)]
        y = [self._staged(b, step, self._column(c)) for c in range(self.columns)]
        for i, s in enumerate(self.sums):
            w.line(f"{s} = f_fma({x[i // self.columns]}, {y[i % self.columns]}, {s});")

    def _staged(self, o: Operand, step: str, line: str) -> str:
        """An element of the stage at hand, in a register."""
        return self.writer.let("float", f"{o.name}[here][{self._place(o, step, line)}]", o.side)

    # ---- leaves

    def _leaf(self, stage: str, stages: int) -> None:
        """Where a leaf ends, its sums go up the tree as far as there is a pair for them."""
        w, per = self.writer, LEAF // self.steps
        with w.block(f"if (({stage} + 1) % {per} == 0 || {stage} + 1 == {stages})"):
            with w.block(f"for (int rest = {stage} / {per}; rest & 1; rest >>= 1)"):
                self._joined()
            for i, s in enumerate(self.sums):
                w.line(f"stack[top][{i}] = {s}; {s} = 0.0f;")
            w.line("++top;")

    def _joined(self) -> None:
        self.writer.line("--top;")
        for i, s in enumerate(self.sums):
            self.writer.line(f"{s} = {add(f'stack[top][{i}]', s)};")

    def _results(self) -> None:
        w = self.writer
        w.line("--top;")
        for i, s in enumerate(self.sums):
            w.line(f"{s} = stack[top][{i}];")
        with w.block("while (top > 0)"):
            self._joined()

    # ---- the rest of the body

    def _finish(self, scope: Scope, live: frozenset[int], stores: list[int], row: str, column: str) -> None:
        w, form = self.writer, self.form
        w.line(f"float sum[{len(self.sums)}];")
        for i, s in enumerate(self.sums):
            w.line(f"sum[{i}] = {s};")
        rolled = len(live) * len(self.sums) > REPEATED
        with self._each(self.rows, rolled) as r:
            at_m = w.let(self.index, f"{row} + {self._row(r)}", "m")
            w.line(f"if ({at_m} >= {size(form.m)}) continue;")
            rows = scope.enter((e.axis for e in form.m), digits(w, self.index, at_m, [e.size for e in form.m]))
            run = self._run(live)
            with self._each(self.columns // run, rolled) as v:
                c = f"({v} * {run})" if run > 1 else v
                at_n = w.let(self.index, f"{column} + {self._column(c)}", "n")
                w.line(f"if ({at_n} >= {size(form.n)}) continue;")
                *at, last = digits(w, self.index, at_n, [e.size for e in form.n])
                here = several(rows.enter((e.axis for e in form.n[:-1]), at), form.n[-1].axis, run, last)
                for number, copy in enumerate(here.copies):
                    place = self._sum(r, f"({c} + {number})" if number else c)
                    copy.values[form.product] = Typed("f32", w.let("float", f"sum[{place}]"))
                here.run(live)
                here.store(stores)

    @property
    def neighbours(self) -> int:
        """Columns of a work-item that are always neighbours, the first at a multiple of their number."""
        return together_of(self.columns)

    def _run(self, live: frozenset[int]) -> int:
        """How many of them the epilogue takes at once: all, where any of its accesses then is one for all."""
        kernel, n, run = self.q.kernel, self.form.n[-1], self.neighbours
        views = (kernel.body[i]["view"] for i in live if kernel.body[i].op in ("load", "store"))
        return run if any(lie_together(kernel, view, n.axis, run) for view in views) and n.size % run == 0 else 1

    def _each(self, count: int, rolled: bool) -> AbstractContextManager[str]:
        if rolled:
            self.writer.line("ROLLED")
        return self.writer.count("int", count, "i")
