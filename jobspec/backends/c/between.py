"""C code of three kernels as one: scores, what becomes of their rows, and the values' contraction (attention).

Takes: a trio (ir/trio.py), a routine's kernels and buffers; of the middle's schedule `between`: rows of a group,
`items`: its work-items. Promises: the three kernels' bits, each in its own order: scores tile by tile into shared
memory, rows folded there by LANES work-items each, what is made of them in the scores' place, then the values. What
lies between is in memory only where others read it. Tiles of scores that a mask hides from all rows of the group are
not computed (masked.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from jobspec.backends.c.between_tiles import Held, Scores, Values, stage_of
from jobspec.backends.c.contract import epilogue_of
from jobspec.backends.c.folded import Sweeps
from jobspec.backends.c.masked import Seen, seen
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, Site, digits, scaled
from jobspec.backends.c.shared import Array, Piece
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES
from jobspec.ir.contraction import Extent, size
from jobspec.ir.kernel import Inst, Kernel, View
from jobspec.ir.plan import Routine, Schedule
from jobspec.ir.tiles import COLUMNS, HIGH, STAGE, WIDE
from jobspec.ir.trio import Trio


def render(name: str, trio: Trio, routine: Routine, writer: Writer) -> Launch:
    """The function `name`, in the stead of all three kernels."""
    get = routine.schedules[trio.middle].get
    rows = max(HIGH, get("between", HIGH))
    return Group(name, trio, routine, writer, rows, get("items", HIGH * WIDE)).render()


@dataclass(frozen=True)
class Group:
    """One function: a group of `items` work-items takes `rows` rows of one batch position through all three."""

    name: str
    trio: Trio
    routine: Routine
    writer: Writer
    rows: int
    items: int

    @cached_property
    def held(self) -> Held:
        return Held(len(self.routine.buffers), self.rows, self.trio.keys)

    def request(self, kernel: Kernel) -> Request:
        r = self.routine
        schedule = Schedule((("stage", STAGE),))
        return Request(self.name, kernel, schedule, (*r.buffers, self.held.buffer), r.buffers[r.flag_buffer])

    @cached_property
    def scores(self) -> Scores:
        trio, kernel = self.trio, self.routine.kernels[self.trio.first]
        kept = [trio.score] if trio.score["view"].buffer in trio.kept else []
        here = redirected(kernel, trio.score, kept, self.held.view(trio.score["view"], trio.scores.n[0].axis))
        shape = (self.rows // HIGH, COLUMNS, HIGH, self.items // HIGH)
        return Scores(self.request(here), self.writer, trio.scores, *shape, self.held, self.seen)

    @cached_property
    def seen(self) -> Seen | None:
        """What counts of the scores, where nobody else reads them and no row of a group sees more than its last."""
        trio, score = self.trio, self.trio.score["view"]
        kernel = self.routine.kernels[trio.middle]
        found = seen(kernel, score.buffer) if score.buffer not in trio.kept else None
        outer = next((e for e in trio.scores.m if e.size > 1), None)
        if found is None or outer is None:
            return None
        walk = kernel.axes[found.axis].size, self._outer_stride(found.axis)
        return found if walk == (outer.size, score.strides[outer.axis]) else None

    @cached_property
    def values(self) -> Values:
        kernel = self.routine.kernels[self.trio.last]
        high = self.items // WIDE
        shape = (self.rows // high, COLUMNS, high, WIDE)
        return Values(self.request(kernel), self.writer, self.trio.values, *shape, self.held, self.piece)

    @cached_property
    def middle(self) -> Request:
        trio, held = self.trio, self.held
        kernel, row = self.routine.kernels[trio.middle], len(self.routine.kernels[trio.middle].axes) - 1
        kept = [trio.weight] if trio.weight["view"].buffer in trio.kept else []
        here = redirected(kernel, trio.weight, kept, held.view(trio.weight["view"], row))
        return self.request(reading(here, trio.score["view"].buffer, held.view(trio.weight["view"], row)))

    @cached_property
    def piece(self) -> Piece:
        """What the group shares: its rows, stages, a number of each work-item."""
        held, stages = self.held, map(stage_of, self.scores.moved)
        rows = Array("held", "float", (held.rows * held.pitch,))
        return Piece((*stages, rows, Array("folds", "float", (self.items,))))

    @property
    def index(self) -> str:
        """The C type that positions in all three need."""
        return max((q.index for q in (self.scores.q, self.middle, self.values.q)), key=len)

    def render(self) -> Launch:
        w, trio, q = self.writer, self.trio, self.values.q
        batch, runs = trio.scores.batch, -(-trio.rows // self.rows)
        with q.function(w, self.name, epilogue_of(q, trio.values)[0], (), self.items):
            self.piece.declare(w)
            w.line(f"const int team = ITEM / {LANES}, item = ITEM % {LANES};")
            *at, run = digits(w, self.index, f"({self.index})GROUP", [*(e.size for e in batch), runs])
            row = w.let(self.index, f"{run} * {self.rows}", "first")
            self.scores.all(dict(zip(batch, at, strict=True)), row)
            w.line("SYNC;")
            offset = self._offset(batch, at)
            self._rows(offset, row)
            # the values' first stage has a barrier behind it, and the rows are read behind that
            self.values.all(self._batch(offset), row)
        return Launch(self.name, size(batch) * runs, self.items, q.turns, shared=self.piece.regions)

    def _offset(self, batch: Sequence[Extent], at: Sequence[str]) -> str:
        """Where in a tensor of scores the batch position begins."""
        strides = self.trio.score["view"].strides
        terms = [scaled(p, strides[e.axis]) for e, p in zip(batch, at, strict=True)]
        return self.writer.let(self.index, " + ".join(terms) or "0", "offset")

    def _batch(self, offset: str) -> dict[Extent, str]:
        """The same batch position as the values' extents have it."""
        w = self.writer
        return {e: w.let(self.index, f"{offset} / {max(1, e.a)} % {e.size}", "i") for e in self.trio.values.batch}

    # ---- rows

    def _rows(self, offset: str, row: str) -> None:
        """Every row of the group, by one team each."""
        w, trio, q = self.writer, self.trio, self.middle
        strides, m = trio.score["view"].strides, trio.scores.m
        nest, teams = Nest.of_folds(q.kernel), self.items // LANES
        outer, inner = nest.groups
        w.line("ROLLED")
        with w.count("int", self.rows // teams, "turn") as turn:
            line = w.let("int", f"{turn} * {teams} + team", "line")
            at = w.let(self.index, f"{row} + {line} < {trio.rows} ? {row} + {line} : {trio.rows - 1}", "m")
            places = digits(w, self.index, at, [e.size for e in m])
            terms = [scaled(p, strides[e.axis]) for p, e in zip(places, m, strict=True) if e.size > 1]
            element = w.let(self.index, " + ".join([offset, *terms]), "offset")
            site = Site(w, nest, q.buffers, q.flags, q.index)
            self.held.open(site, line)
            site.open(nest.views(nest.live))
            walk = (self._outer_stride(axis) for axis in outer)
            positions = [self._position(element, q.size(axis), d) for axis, d in zip(outer, walk, strict=True)]
            inside = f"{row} + {line} < {trio.rows}"
            scope = Guarded(site, number=self.held.number, inside=inside, seen=self.seen, row=inner[0])
            Sweeps(
                q, scope.enter(outer, positions), inner, LANES, 1, item="item", shared=f"(folds + team * {LANES})"
            ).all()

    def _outer_stride(self, axis: int) -> int:
        """Of the middle's axis, in the tensor between."""
        return int(self.trio.weight["view"].strides[axis])

    def _position(self, element: str, length: int, stride: int) -> str:
        if length == 1:
            return "0"
        return self.writer.let(self.middle.index, f"{element} / {stride} % {length}", "i")


def redirected(kernel: Kernel, store: Inst, kept: Iterable[Inst], view: View) -> Kernel:
    """`store` writes to `view`; what is `kept` is stored where it was as well."""
    moved = replace(store, attrs=tuple((k, view if k == "view" else v) for k, v in store.attrs))
    return replace(kernel, body=(*(moved if inst == store else inst for inst in kernel.body), *kept))


def reading(kernel: Kernel, buffer: int, view: View) -> Kernel:
    """What is loaded from `buffer` comes from `view`."""

    def moved(inst: Inst) -> Inst:
        if inst.op != "load" or inst["view"].buffer != buffer:
            return inst
        return replace(inst, attrs=tuple((k, view if k == "view" else v) for k, v in inst.attrs))

    return replace(kernel, body=tuple(map(moved, kernel.body)))


@dataclass(frozen=True)
class Guarded(Scope):
    """Of rows that may not exist: what `inside` does not hold for is written nowhere but into the buffer `number`. What
    is not `seen` of it along the axis `row` may not be there, and is not read."""

    number: int = -1
    inside: str = ""
    seen: Seen | None = None
    row: int = -1

    def enter(self, axes: Iterable[int], positions: Iterable[str]) -> Guarded:
        scope = super().enter(axes, positions)
        return replace(self, at=scope.at, values=scope.values)

    def _load(self, inst: Inst, *picked: Typed) -> Typed:
        view, mask = inst["view"], self.seen
        if mask is None or view.buffer != self.number:
            return super()._load(inst, *picked)
        place = f"{self.at[self.row]} {'<=' if mask.through else '<'} {self.at[mask.axis]}"
        element = f"{self.site.pointer(view)}[{self.element(view)}]"
        return Typed(inst.dtype, self.writer.let("float", f"{place} ? {element} : 0.0f"))

    def _store(self, inst: Inst, value: Typed) -> None:
        if inst["view"].buffer == self.number:
            super()._store(inst, value)
            return
        with self.writer.block(f"if ({self.inside})"):
            super()._store(inst, value)
