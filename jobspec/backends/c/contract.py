"""C code of contractions: a tile of sums per work-item, the epilogue on each.

Takes: a kernel of kind contract and its schedule: `rows`, `columns`, `lanes` of a work-item's tile (columns are
vectors of `lanes`); `swap`: the roles of m and n exchanged; `pack`: b is first copied strip by strip. Promises:
contraction order of ir/contract.py to the bit; any schedule gives the same bits. Columns that fill no tile are a
launch of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.backends.c.folds import ended
from jobspec.backends.c.found import Found, found_by_index
from jobspec.backends.c.packing import Packing
from jobspec.backends.c.request import GROUP, Launch, Request, spread
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits, scaled, walked
from jobspec.backends.c.tree import add
from jobspec.backends.c.wide import WideScope
from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Extent, size

#: groups that a launch should have for all processors to have work, and work-items of a group at most
SHARED_OUT, TOGETHER = 16, GROUP // 8
#: bytes of b that a processor keeps in its second cache
NEAR = 1 << 19
#: floats of a line of the caches
LINE = 16


def render(q: Request, writer: Writer) -> list[Launch]:
    rows, launches = q.schedule.get("rows", 4), []
    for number, part in enumerate(parts(q)):
        tiles = Tiles(q, writer, f"{q.name}_{number}", part, rows)
        if part.pack:
            launches.append(tiles.packing.render())
        launches.append(tiles.render())
    return launches


@dataclass(frozen=True)
class Part:
    """Columns first … last-1 of the last axis of n, in strips of `columns` vectors of `lanes`."""

    first: int
    last: int
    columns: int
    lanes: int
    pack: bool

    @property
    def width(self) -> int:
        """Elements of a row of a tile."""
        return self.columns * self.lanes

    @property
    def strips(self) -> int:
        return -(-(self.last - self.first) // self.width)

    @property
    def valid(self) -> int:
        """Elements of a row of a tile that exist."""
        return min(self.width, self.last - self.first)


def parts(q: Request) -> Iterator[Part]:
    """Whole strips; what is left in one strip, whose last vector is filled up when it is copied; where b cannot be
    copied, as an index says where it lies, single columns at the end."""
    form = q.form
    lanes, columns, last = q.schedule.get("lanes", 1), q.schedule.get("columns", 4), form.n[-1].size
    pack = bool(q.schedule.get("pack", 0)) and form.plain
    whole = last // (lanes * columns) * lanes * columns
    if whole:
        yield Part(0, whole, columns, lanes, pack)
    if form.plain and last > whole:
        yield Part(whole, last, -(-(last - whole) // lanes), lanes, pack or (last - whole) % lanes > 0)
        return
    vectors = (last - whole) // lanes
    if vectors:
        yield Part(whole, whole + vectors * lanes, vectors, lanes, False)
    if whole + vectors * lanes < last:
        yield Part(whole + vectors * lanes, last, last - whole - vectors * lanes, 1, False)


@dataclass(frozen=True)
class Tiles:
    """One function: a part of the columns, in tiles of `rows` × `part.columns` vectors."""

    q: Request
    writer: Writer
    symbol: str
    part: Part
    rows: int

    @property
    def form(self) -> Contraction:
        return self.q.form

    @property
    def packing(self) -> Packing:
        q, w, part, symbol = self.q, self.writer, self.part, f"{self.symbol}_pack"
        return Packing(q, w, self.form, symbol, part.first, part.last, part.strips, part.width, part.lanes)

    @property
    def columns(self) -> int:
        return self.part.columns

    @property
    def vector(self) -> str:
        return vector_of("float", self.part.lanes)

    @property
    def sums(self) -> int:
        return self.rows * self.columns

    def render(self) -> Launch:
        form, q, w, part = self.form, self.q, self.writer, self.part
        nest, stores, live = epilogue_of(q, form)
        m, outer = size(form.m), form.outer
        runs = -(-m // self.rows)
        tasks = size(outer) * part.strips * runs
        with q.function(w, self.symbol, nest, live, lanes=part.lanes) as top:
            top.site.open((form.a, form.b))
            task, groups, items = spread(w, q.index, tasks, max(1, min(TOGETHER, tasks // SHARED_OUT)))
            *at, strip, run = self._tile(task, runs)
            column = w.let(q.index, f"{part.first} + {strip} * {part.width}", "column")
            row = w.let(q.index, f"{run} * {self.rows}", "row")
            scope = top.enter((e.axis for e in outer), at)
            self._ahead(scope, live, row, column)
            self._sums(scope, dict(zip(outer, at, strict=True)), row, column, strip)
            self._finish(scope, live, stores, row, column)
        return Launch(self.symbol, groups, items, q.turns, self.packing.bytes if part.pack else 0)

    def _tile(self, task: str, runs: int) -> list[str]:
        """Positions outside, strip, run of rows. Tiles beside each other go first where all of b stays near, as results
        are then written, and operands of the epilogue read, in the order in which they lie."""
        w, index, part = self.writer, self.q.index, self.part
        outer = [e.size for e in self.form.outer]
        if 4 * self.form.k_size * part.strips * part.width <= NEAR:
            *at, run, strip = digits(w, index, task, [*outer, runs, part.strips])
            return [*at, strip, run]
        return digits(w, index, task, [*outer, part.strips, runs])

    # ---- sums

    def _sums(self, scope: Scope, outer: dict[Extent, str], row: str, column: str, strip: str) -> None:
        """Declares `sum[rows * columns]`."""
        w, form, q = self.writer, self.form, self.q
        found = found_by_index(scope, form, outer)
        a, b = self._rows(scope, outer, row, found.a), self._strip(scope, outer, column, strip, found.b)
        leaves = -(-form.k_size // LEAF)
        w.line(f"{self.vector} sum[{self.sums}];")
        if leaves == 1:
            self._leaf(a, b, "0", found.steps)
            return
        stack = self._open_stack(leaves)
        with w.count("int", self._leaves(found), "leaf") as leaf:
            first = w.let(q.index, f"({q.index}){leaf} * {LEAF}", "first")
            stop = ended(w, q.index, found.steps, first, LEAF)
            self._leaf(a, b, first, stop)
            self._push(stack, leaf)
        self._results(stack)

    def _leaves(self, found: Found) -> str:
        """How many leaves there are: at least one, which may be over nothing."""
        if found.fixed:
            return str(-(-found.at_most // LEAF))
        return self.writer.let("int", f"{found.steps} > 0 ? ({found.steps} + {LEAF - 1}) / {LEAF} : 1", "leaves")

    def _strip(self, scope: Scope, outer: dict[Extent, str], column: str, strip: str, further: str) -> str:
        """Pointer to the first column of b at the first step."""
        if self.part.pack:
            packing = self.packing
            start = f"(long)({packing.strip(outer, strip)}) * {packing.size}"
            return self._pointer("(GLOBAL const float*)scratch", [start])
        last = self.form.n[-1].b
        terms = walked([*outer.values(), column], [*(e.b for e in outer), last])
        return self._pointer(scope.site.pointer(self.form.b), [*terms, further])

    def _rows(self, scope: Scope, outer: dict[Extent, str], row: str, further: str) -> list[str]:
        """Pointers to the first step of each row of a."""
        w, form, q = self.writer, self.form, self.q
        base_a = [further, *walked(outer.values(), (e.a for e in outer))]
        a = []
        for r in range(self.rows):
            at = digits(w, q.index, self._kept(row, r), [e.size for e in form.m])
            terms = [*base_a, *walked(at, (e.a for e in form.m))]
            a.append(self._pointer(scope.site.pointer(form.a), terms))
        return a

    def _pointer(self, base: str, terms: list[str]) -> str:
        name = self.writer.name("p")
        self.writer.line(f"GLOBAL const float* const {name} = {' + '.join([base, *terms])};")
        return name

    def _leaf(self, a: list[str], b: str, first: str, stop: str) -> None:
        """One ascending chain per sum, from +0."""
        w, q = self.writer, self.q
        names = [w.name("s") for _ in range(self.sums)]
        for name in names:
            w.line(f"{self.vector} {name} = 0.0f;")
        with w.count(q.index, stop, "k", first) as k:
            at_a = self._walk(self.form.ka, k, "a")
            at_b = scaled(k, self.part.width) if self.part.pack else self._walk(self.form.kb, k, "b")
            columns = [w.let(self.vector, self._loaded(b, at_b, c), "b") for c in range(self.columns)]
            for r in range(self.rows):
                left = w.let("float", f"{a[r]}[{at_a}]", "a")
                for c, right in enumerate(columns):
                    name = names[r * self.columns + c]
                    w.line(f"{name} = f_fma(({self.vector})({left}), {right}, {name});")
        for i, name in enumerate(names):
            w.line(f"sum[{i}] = {name};")

    def _walk(self, extents: tuple[Extent, ...], k: str, side: str) -> str:
        """Elements from step 0 to step `k`."""
        at = digits(self.writer, self.q.index, k, [e.size for e in extents])
        return " + ".join(walked(at, (getattr(e, side) for e in extents))) or "0"

    def _loaded(self, b: str, at: str, column: int) -> str:
        """Vector `column` of b at one step."""
        lanes = self.part.lanes
        step, first = 1 if self.part.pack else self.form.n[-1].b, column * lanes
        if lanes == 1:
            return f"{b}[{at} + {first * step}]"
        if step == 1:
            return f"vload{lanes}(0, {b} + {at} + {first})"
        elements = ", ".join(f"{b}[{at} + {(first + lane) * step}]" for lane in range(lanes))
        return f"({self.vector})({elements})"

    # ---- leaves

    def _open_stack(self, leaves: int) -> str:
        """All sums climb their trees together: one counter, a stack of whole tiles, whose name this is."""
        w = self.writer
        stack = w.name("stack")
        w.line(f"{self.vector} {stack}[{leaves.bit_length()}][{self.sums}]; int top = 0;")
        return stack

    def _push(self, stack: str, leaf: str) -> None:
        w = self.writer
        with w.block(f"for (int level = 0; ({leaf} >> level) & 1; ++level)"):
            w.line("--top;")
            with w.count("int", self.sums, "s") as s:
                w.line(f"sum[{s}] = {add(f'{stack}[top][{s}]', f'sum[{s}]')};")
        with w.count("int", self.sums, "s") as s:
            w.line(f"{stack}[top][{s}] = sum[{s}];")
        w.line("++top;")

    def _results(self, stack: str) -> None:
        w = self.writer
        w.line("--top;")
        with w.count("int", self.sums, "s") as s:
            w.line(f"sum[{s}] = {stack}[top][{s}];")
        with w.block("while (top > 0)"):
            w.line("--top;")
            with w.count("int", self.sums, "s") as s:
                w.line(f"sum[{s}] = {add(f'{stack}[top][{s}]', f'sum[{s}]')};")

    # ---- the rest of the body

    def _ahead(self, scope: Scope, live: frozenset[int], row: str, column: str) -> None:
        """Ask for what the rest of the body reads of this tile: rows lie too far apart for the processor to guess."""
        w, form, q, part = self.writer, self.form, self.q, self.part
        insts = (q.kernel.body[i] for i in sorted(live))
        loads = (inst["view"] for inst in insts if inst.op == "load" and not inst.args)
        views = dict.fromkeys(v for v in loads if v.strides[form.n[-1].axis] == 1 and part.lanes > 1)
        for r in range(self.rows if views else 0):
            at_m = digits(w, q.index, self._kept(row, r), [e.size for e in form.m])
            here = scope.enter((*(e.axis for e in form.m), form.n[-1].axis), (*at_m, column))
            for view in views:
                at = w.let(q.index, here.element(view), "e")
                for first in range(0, part.valid, LINE):
                    w.line(f"AHEAD({here.site.pointer(view)} + {at} + {first});")

    def _kept(self, row: str, r: int) -> str:
        """Row `r` of the tile, or the last there is."""
        last = size(self.form.m) - 1
        return self.writer.let(self.q.index, f"{row} + {r} <= {last} ? {row} + {r} : {last}", "m")

    def _finish(self, scope: Scope, live: frozenset[int], stores: list[int], row: str, column: str) -> None:
        w, form, q, lanes = self.writer, self.form, self.q, self.part.lanes
        m, n = size(form.m), form.n[-1].axis
        vectors = self.part.valid // lanes if lanes > 1 else 0
        with w.count("int", self.rows, "r") as r:
            at_m = w.let(q.index, f"{row} + {r}", "m")
            w.line(f"if ({at_m} >= {m}) break;")
            rows = scope.enter((e.axis for e in form.m), digits(w, q.index, at_m, [e.size for e in form.m]))
            if vectors:
                with w.count("int", vectors, "v") as v:
                    at = w.let(q.index, f"{column} + {v} * {lanes}", "n")
                    kept = w.let(self.vector, f"sum[{r} * {self.columns} + {v}]")
                    self._ended(WideScope.of(rows, n, lanes).enter((n,), (at,)), kept, lanes, live, stores)
            if vectors * lanes < self.part.valid:
                w.line(f"const float* const sums = (const float*)(sum + {r} * {self.columns});")
                with w.count("int", self.part.valid, "c", str(vectors * lanes)) as c:
                    kept = w.let("float", f"sums[{c}]")
                    self._ended(rows.enter((n,), (w.let(q.index, f"{column} + {c}", "n"),)), kept, 1, live, stores)

    def _ended(self, here: Scope, kept: str, lanes: int, live: frozenset[int], stores: list[int]) -> None:
        """The rest of the body on sums that are named `kept`."""
        here.values[self.form.product] = Typed("f32", kept, lanes)
        here.run(live)
        here.store(stores)


def epilogue_of(q: Request, form: Contraction) -> tuple[Nest, list[int], frozenset[int]]:
    """The body behind the sums: its nest, its stores, all that they need."""
    axes = tuple(e.axis for e in (*form.batch, *form.m, *form.n))
    nest = Nest(q.kernel, (axes,), -1, 1)
    stores = [i for i, inst in enumerate(q.kernel.body) if inst.op == "store"]
    return nest, stores, nest.needed(stores)
