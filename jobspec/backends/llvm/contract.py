"""Contract kernels as native code: panels of b, tiles of rows, sums in registers, the epilogue on each tile.

Takes: a kernel of kind contract and its schedule (tiling.py says what it may choose). Promises: `generate`
offers the face of convention.py; any schedule gives the same bits. A task is one tile; the tiles of a
panel are neighbours, so that a thread packs each panel of its share once; so are the panels that go over
one slab of rows, if rows are packed. Or a task is the rows of a tile in all panels: each thread then packs every panel,
and has rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from jobspec.backends.llvm.ahead import Lines, Results, next_packed, next_rows, rows_further
from jobspec.backends.llvm.convention import Native, Phase, Place, begin
from jobspec.backends.llvm.emit import Function, Int, Module
from jobspec.backends.llvm.epilogue import Epilogue, epilogue
from jobspec.backends.llvm.found import found_by_index
from jobspec.backends.llvm.here import Here
from jobspec.backends.llvm.join import join_groups, store_group
from jobspec.backends.llvm.pack import Panel, pack
from jobspec.backends.llvm.pack_rows import Slab, pack_rows
from jobspec.backends.llvm.request import cost
from jobspec.backends.llvm.tile import (
    BLOCK,
    BYTES,
    VECTOR,
    WIDTH,
    Ahead,
    Columns,
    Copied,
    Rows,
    Stack,
    Sums,
    chain,
    chain_ahead,
    fold,
    fold_in_order,
)
from jobspec.backends.llvm.tiling import Kind, Tiling, tiling_of
from jobspec.backends.llvm.values import Value
from jobspec.backends.llvm.walks import (
    Even,
    along,
    bytes_of,
    choose,
    digits,
    least,
    moved,
    offset_at,
    pieces,
    start_of,
    times,
    total,
)
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule

#: so many times the rows of an epilogue that runs late are fetched before it
SOON = 2


def generate(
    module: Module, name: str, kernel: Kernel, schedule: Schedule, places: Sequence[Place], flags: Place
) -> Native:
    """Add the kernel's functions to `module`: the sums, and where k is split in groups their join."""
    tiling = tiling_of(kernel, schedule)
    finish = cost(kernel, range(len(kernel.body)))
    f = begin(module, name, kernel)
    Tiles(f, tiling, epilogue(f, kernel, tiling.form, places, flags)).emit(name)
    if tiling.groups == 1:
        return Native((Phase(name, tiling.tiles, tiling.weight(finish), tiling.order),), 0, tiling.private)
    joined = f"{name}.join"
    f = begin(module, joined, kernel)
    join_groups(f, tiling, epilogue(f, kernel, tiling.form, places, flags))
    sums = Phase(name, tiling.tiles, tiling.weight(1), None, tiling.light)
    phases = (sums, Phase(joined, tiling.vectors, 2 * tiling.groups + finish))
    return Native(phases, tiling.shared, tiling.private)


class Tiles:
    """The function that makes the sums. Tasks: outer, group, slab, panel, tile of the slab; the last fastest. Tiles
    are numbered by run of rows and tile in it."""

    def __init__(self, f: Function, tiling: Tiling, finish: Epilogue) -> None:
        self.f, self.tiling, self.finish = f, tiling, finish
        self.form, self.private = tiling.form, f.params[3]
        self.a, self.b = (finish.top.site.base(view) for view in (self.form.a, self.form.b))

    def emit(self, name: str) -> None:
        """The whole function, the tables it needs included."""
        self.along_a = along(self.f.module, f"{name}.a", bytes_of(self.form.ka, "a"))
        if not self.tiling.packed or self.tiling.copied:
            self.along_b = along(self.f.module, f"{name}.b", bytes_of(self.form.kb, "b"))
        share = self._share_rows if self.tiling.across else self._share
        self.f.when(self.f.icmp("slt", self.f.params[4], self.f.params[5]), share)
        self.f.ret()

    def _share_rows(self) -> None:
        """All panels over the rows that tasks lo … hi-1 stand for."""
        f, each, panels = self.f, self.tiling.tiles_of_panel, self.tiling.columns.parts
        lo, hi = f.params[4:6]

        def turn(outer: Value) -> None:
            start = f.imul(outer, each)
            first = f.intrinsic("smax", "i64", (f.isub(lo, start), Value("i64", "0")), ("i64",))
            last, before = least(f, f.isub(hi, start), each), f.imul(outer, panels)
            f.loop(0, panels, 1, lambda part: self._panel(f.iadd(before, part), Value("i1", "true"), first, last))

        f.loop(f.udiv(lo, each), f.iadd(f.udiv(f.isub(hi, 1), each), 1), 1, turn)

    def _share(self) -> None:
        """All panels that tasks lo … hi-1 have a part in."""
        f, each = self.f, self.tiling.tiles_at_once
        lo, hi = f.params[4:6]
        begin_, after = f.udiv(lo, each), f.iadd(f.udiv(f.isub(hi, 1), each), 1)

        def one(number: Value) -> None:
            start = f.imul(number, each)
            first = f.intrinsic("smax", "i64", (f.isub(lo, start), Value("i64", "0")), ("i64",))
            self._panel(number, f.icmp("eq", number, begin_), first, least(f, f.isub(hi, start), each))

        f.loop(begin_, after, 1, one)

    def _panel(self, number: Value, fresh: Value, first: Int, last: Int) -> None:
        """Tiles first … last-1 of panel `number` of all; `fresh`: whether it is the first of the share."""
        f, t = self.f, self.tiling
        outer, group, slab, part = digits(f, number, [t.outer, t.groups, t.slabs, t.columns.parts])
        begin_ = times(f, slab, t.tiles_at_once)
        if t.slabs > 1:
            last = least(f, last, f.isub(t.tiles_of_panel, begin_))
        if t.slab:
            self._slab(outer, group, begin_, f.or_(fresh, f.icmp("eq", part, 0)))
        kinds = t.panels()

        def panel(i: int) -> None:
            here = self._here(outer, group, start_of(f, t.columns, part), kinds[i], first)
            self._tiles(here, begin_, last)

        choose(f, part, [k.first for k in kinds], panel)

    def _slab(self, outer: Int, group: Int, begin_: Int, fresh: Value) -> None:
        """Pack the rows of the slab whose first tile is `begin_`, if `fresh`."""
        f, t = self.f, self.tiling
        a = f.offset(self.a, moved(f, digits(f, outer, self._outer_sizes()), self.form.outer, "a"))
        count = least(f, t.slab, f.isub(t.tiles_of_panel, begin_))

        def tile(number: Value, emit: Callable[[Value, int], None]) -> None:
            self._by_kind(f.iadd(begin_, number), lambda row, rows: emit(self._row(a, row), rows))

        target = f.offset(self.private, t.slab_at)
        f.when(fresh, lambda: pack_rows(f, Slab(tile, count, self.along_a, t), target, *self._steps(group)))

    def _outer_sizes(self) -> list[int]:
        return [extent.size for extent in self.form.outer]

    def _row(self, a: Value, row: Int) -> Value:
        return self.f.offset(a, offset_at(self.f, row, bytes_of(self.form.m, "a")))

    def _by_kind(self, tile: Int, emit: Callable[[Int, int], None]) -> None:
        """emit(first row, rows) for the size that tile number `tile` has."""
        f, t = self.f, self.tiling
        run, part = digits(f, tile, [t.runs, t.rows.parts])
        kinds, row = t.rows.kinds(), total(f, times(f, run, t.rows.length), start_of(f, t.rows, part))
        choose(f, part, [k[0] for k in kinds], lambda i: emit(row, kinds[i][2]))

    def _tiles(self, here: Here, begin_: Int, last: Int) -> None:
        """Tiles here.first … last-1 of the slab whose first tile is `begin_`."""
        f = self.f

        def one(number: Value) -> None:
            tile = total(f, begin_, number)
            self._by_kind(tile, lambda row, rows: self._tile(here, number, row, rows))

        f.loop(here.first, last, 1, one)
        if self.late:
            end = f.isub(total(f, begin_, last), 1)
            finish = partial(self._finish_stored, here)
            f.when(f.icmp("slt", here.first, last), lambda: self._by_kind(end, finish))

    @property
    def late(self) -> bool:
        """Whether the epilogue of a tile runs while the next is multiplied, between blocks of whole steps."""
        t = self.tiling
        whole = t.steps % BLOCK == 0 and self.form.leaf % BLOCK == 0
        return t.late and t.groups == 1 and whole and bool(t.slab or not self.along_a.outer)

    def _here(self, outer: Int, group: Int, vector: Int, kind: Kind, first: Int) -> Here:
        """Where the panel begins; packs it if it is to be packed."""
        f, extents = self.f, self.form.outer
        at = digits(f, outer, self._outer_sizes())
        column = times(f, vector, WIDTH)
        found = found_by_index(f, self.form, self.finish.top.site, at)
        steps = self._steps(group) if found.count is None else (0, found.count)
        a = f.offset(self.a, total(f, moved(f, at, extents, "a"), found.a))
        b = f.offset(f.offset(self.b, moved(f, at, extents, "b")), times(f, column, 4 * self.form.n[-1].b))
        b = f.offset(b, found.b)
        (columns, fresh), scope = self._columns(b, kind, steps), self.finish.panel(at, column)
        return Here(outer, group, column, kind, steps, a, b, columns, fresh, first, scope, found.used)

    def _steps(self, group: Int) -> tuple[Int, Int]:
        t = self.tiling
        if t.groups == 1:
            return 0, t.steps
        first = times(self.f, group, t.steps)
        end = total(self.f, first, t.steps)
        return first, end if t.even else least(self.f, end, self.form.k_size)

    def _columns(self, b: Value, kind: Kind, steps: tuple[Int, Int]) -> tuple[Columns, Columns]:
        """As tiles read them, and as the first one does."""
        if not self.tiling.packed:
            columns = Columns(b, self.along_b.walk, kind.vectors, kind.lanes)
            return columns, columns
        f, apart = self.f, 4 * self.form.n[-1].b
        panel = Panel(b, apart, bytes_of(self.form.kb, "b"), kind.vectors, kind.lanes)
        start = f.offset(self.private, self.tiling.panel_at)
        target = f.offset(start, times(f, steps[0], -panel.step))
        columns = Columns(target, Even(panel.step), kind.vectors)
        if self.tiling.copied:
            return columns, Copied(b, self.along_b.walk, kind.vectors, kind.lanes, columns)
        pack(f, panel, target, *steps)
        return columns, columns

    def _tile(self, here: Here, tile: Int, row: Int, rows: int) -> None:
        """`rows` rows from `row` (of m, flattened) on; tile number `tile` of the panel and slab."""
        f, t = self.f, self.tiling
        stack = Stack(f.offset(self.private, t.stack_at), t.tile_bytes)
        of_a = self._packed(here, tile, rows) if t.slab else self._rows(here.a, row, rows)
        begin_, end = here.steps
        count = end - begin_ if isinstance(begin_, int) and isinstance(end, int) else self._count(here)

        ahead, late = self._ahead(here, tile, row, rows), self._late(here, row, rows)

        def chain_of(k0: Int, steps: Int) -> Sums:
            def later() -> Sums:
                return self._chain(of_a, here.b, total(f, begin_, k0), steps, [*ahead, *late])

            def first() -> Sums:
                return self._chain(of_a, here.fresh, total(f, begin_, k0), steps, ahead)

            alike = here.fresh is here.b and not late
            return later() if alike else f.when(f.icmp("eq", tile, here.first), first, later)

        def folded() -> Sums:
            if self.form.chain:
                return fold_in_order(f, t.steps, self.form.chain, self._started(here, row, rows), chain_of, stack)
            return fold(f, count, t.steps, chain_of, stack)

        sums = self._if_used(here, rows, folded)
        if t.groups > 1:
            store_group(f, t, (here.outer, here.group, row, here.column), here.kind.vectors, sums)
        else:
            self._finish(here, row, rows, sums)

    def _if_used(self, here: Here, rows: int, sums: Callable[[], Sums]) -> Sums:
        """+0.0 for a batch that an index leaves out."""
        if here.used is None:
            return sums()
        return self.f.when(here.used, sums, lambda: [Value(VECTOR, "zeroinitializer")] * (rows * here.kind.vectors))

    def _count(self, here: Here) -> Int:
        if self.form.span is not None:
            return here.steps[1]
        return self.tiling.steps if self.tiling.even else self.f.isub(here.steps[1], here.steps[0])

    def _ahead(self, here: Here, tile: Int, row: Int, rows: int) -> list[Ahead]:
        """What to fetch while the tile computes."""
        f, t = self.f, self.tiling
        found = [next_packed(f, t.rows_bytes) if t.slab else next_rows(f)] if t.ahead & 1 else []
        if t.ahead & 2 and self.form.n[-1].b == 1 and (len(self.form.kb) == 1 or self._listed):
            found.append(self._panel_further(here, tile, here.kind.vectors * BYTES))
        if t.ahead & 4 and t.groups == 1 and not self.late:
            found.append(self._results(here, row, rows))
        if t.ahead & 8 and t.outer > 1:
            found += self._turn_further(here, tile)
        if t.ahead & 16 and not t.slab and not self.along_a.outer:
            found.append(rows_further(f, BYTES, False))
        return found

    @property
    def _listed(self) -> bool:
        """Whether one table says where all steps of b lie, which are all of k."""
        t = self.tiling
        return (not t.packed or t.copied) and not self.along_b.outer and t.groups == 1

    def _results(self, here: Here, row: Int, rows: int) -> Ahead:
        """What the epilogue of `rows` rows from `row` on touches."""
        finish = Results(self.finish, here.scope, row, rows, here.kind.vectors)
        return finish.during(self.f, self.tiling.steps, here.steps[0])

    def _turn_further(self, here: Here, tile: Int) -> list[Ahead]:
        """What the next turn of the loops outside takes."""
        f, extents, sizes = self.f, self.form.outer, self._outer_sizes()
        now, then = (digits(f, at, sizes) for at in (here.outer, total(f, here.outer, 1)))
        a, b = (f.isub(moved(f, then, extents, side), moved(f, now, extents, side)) for side in "ab")
        found = [rows_further(f, a, self.form.ka[-1].a in (0, 1))] if any(e.a for e in extents) else []
        one_step = len(self.form.kb) == 1 and any(e.b for e in extents)
        return [*found, self._panel_further(here, tile, b)] if one_step else found

    def _panel_further(self, here: Here, tile: Int, further: Int) -> Ahead:
        """The panel `further` bytes from this one."""
        f, t, k, n = self.f, self.tiling, self.form.kb[0], self.form.n[-1]
        walk = Even(4 * k.b) if len(self.form.kb) == 1 else self.along_b.walk
        base = f.offset(here.source, total(f, times(f, here.steps[0], 4 * k.b), further))
        lines = Lines(base, walk, here.kind.vectors, t.steps)
        if n.b != 1 and k.b == 1:
            columns = WIDTH * (here.kind.vectors - 1) + here.kind.lanes
            lines = Lines(base, Even(4 * n.b), -(-t.steps // WIDTH), columns)
        return lines.during(f, tile, t.tiles_at_once, here.steps[0], t.steps)

    def _packed(self, here: Here, tile: Int, rows: int) -> Rows:
        f, t = self.f, self.tiling
        start = f.offset(self.private, total(f, t.slab_at, times(f, tile, t.rows_bytes)))
        base = f.offset(start, times(f, here.steps[0], -4 * t.rows.size))
        return Rows((base,), tuple(range(0, 4 * rows, 4)), Even(4 * t.rows.size))

    def _rows(self, a: Value, row: Int, rows: int) -> Rows:
        f, m = self.f, bytes_of(self.form.m, "a")
        if not self.tiling.flat or len(m) == 1:
            apart = tuple(i * m[-1][1] for i in range(rows))
            return Rows((self._row(a, row),), apart, self.along_a.walk)
        bases = tuple(self._row(a, total(f, row, i)) for i in range(rows))
        return Rows(bases, (0,), self.along_a.walk)

    def _chain(self, rows: Rows, columns: Columns, k0: Int, steps: Int, ahead: list[Ahead]) -> Sums:
        """One chain, across the blocks of k that a is walked in."""
        f, start = self.f, [Value(VECTOR, "zeroinitializer")] * (len(rows) * columns.vectors)
        outer, period = () if self.tiling.slab else self.along_a.outer, self.along_a.period
        whole = isinstance(steps, int) and steps % BLOCK == 0 and (not outer or period % BLOCK == 0)

        def all_ahead(of_a: Rows, k: Value, step: Value) -> None:
            for fetch in ahead:
                fetch(of_a, k, step)

        def piece(offset: Int, first: Int, last: Int, begin_: Int, *sums: Value) -> Sums:
            here, there = rows.moved(f, offset) if outer else rows, columns.behind(f, begin_)
            if ahead and whole:
                return chain_ahead(f, here, there, (first, last), list(sums), all_ahead, begin_)
            return chain(f, here, there, first, last, list(sums))

        return pieces(f, outer, period, k0, total(f, k0, steps), piece, start)

    def _finish(self, here: Here, row: Int, rows: int, sums: Sums) -> None:
        """The epilogue on the tile, out of registers or by way of memory."""
        f, width = self.f, here.kind.vectors
        if not self.tiling.through:
            for i in range(rows):
                self._finish_row(here, total(f, row, i), sums[i * width : (i + 1) * width])
            return
        for i, value in enumerate(sums):
            f.store(value, f.offset(self.private, i * BYTES), BYTES)
        if not self.late:
            self._finish_stored(here, row, rows)

    def _finish_stored(self, here: Here, row: Int, rows: int) -> None:
        """The epilogue on a tile of private memory."""
        self.f.loop(0, rows, 1, lambda i: self._finish_stored_row(here, row, i))

    def _finish_stored_row(self, here: Here, row: Int, i: Value) -> None:
        f, width = self.f, here.kind.vectors
        start = f.offset(self.private, f.imul(i, width * BYTES))
        loaded = [f.load(VECTOR, f.offset(start, v * BYTES), BYTES) for v in range(width)]
        self._finish_row(here, total(f, row, i), loaded)

    def _late(self, here: Here, row: Int, rows: int) -> list[Ahead]:
        """The epilogue of the tile before, rows of it at each block of steps, where it is to run so late."""
        f, blocks = self.f, self.tiling.steps // BLOCK
        if not self.late:
            return []
        each, every = -(-rows // blocks), max(1, blocks // rows)

        def part(_: Rows, __: Value, k: Value) -> None:
            block = f.udiv(k, BLOCK)
            turn = f.udiv(block, every)
            for i in range(each):
                at = f.iadd(f.imul(turn, each), i)
                due = f.and_(f.icmp("slt", at, rows), f.icmp("eq", f.imul(turn, every), block))
                f.when(due, partial(self._finish_stored_row, here, f.isub(row, rows), at))

        soon = self._results(here, f.isub(row, rows - each * SOON), rows)
        return [soon, part] if self.tiling.ahead & 4 else [part]

    def _started(self, here: Here, row: Int, rows: int) -> Sums:
        """What a chain of leaves begins with."""
        scopes = [self.finish.row(here.scope, total(self.f, row, i)) for i in range(rows)]
        return [self.finish.start(s, v, here.lanes(v)) for s in scopes for v in range(here.kind.vectors)]

    def _finish_row(self, here: Here, row: Int, sums: Sums) -> None:
        scope = self.finish.row(here.scope, row)
        for v, value in enumerate(sums):
            self.finish.vector(scope, v, here.lanes(v), value)
