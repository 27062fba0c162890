"""C code of columns folded in vectors: a work-item takes a strip of neighbouring columns, whole or a part of it.

Takes: a kernel of kind columns that reduces, and its schedule: `lanes` columns along the kept axis `along` in one;
`parts`: work-items at most that share a strip. Promises: the column order of ir/contract.py to the bit. A part takes as
many leaves in a row as a power of two; it leaves its results in scratch memory, and a second launch joins them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from jobspec.backends.c.folded import Sweeps
from jobspec.backends.c.folds import Visits, ended
from jobspec.backends.c.parted import run_of, suits
from jobspec.backends.c.request import GROUP, Launch, Request, spread
from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import Scope, digits
from jobspec.backends.c.wide import neighbours
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF

#: groups that a launch should have for all processors to have work
SHARED_OUT = 64


def render(q: Request, writer: Writer) -> list[Launch]:
    strips = Strips(q, writer, Nest.of_folds(q.kernel))
    return strips.shared() if strips.parts > 1 and one_sweep(strips.nest) else [strips.whole()]


def one_sweep(nest: Nest) -> bool:
    """Whether nothing of a column is visited again once its sums are known, and they can be joined from parts."""
    return suits(nest.kernel) and not any(nest.reduces(p) or nest.stores(p, True) for p in range(1, nest.last + 1))


@dataclass(frozen=True)
class Strips:
    """The functions of one kernel."""

    q: Request
    writer: Writer
    nest: Nest

    @property
    def along(self) -> int:
        return self.q.schedule.get("along", -1)

    @property
    def lanes(self) -> int:
        return self.q.schedule.get("lanes", 1)

    @property
    def outer(self) -> tuple[int, ...]:
        """Kept axes but that of the strips."""
        return tuple(axis for axis in self.nest.groups[0] if axis != self.along)

    @property
    def sizes(self) -> list[int]:
        """Positions outside, strips at each."""
        return [*map(self.q.size, self.outer), -(-self.q.size(self.along) // self.lanes)]

    @cached_property
    def count(self) -> int:
        return -(-self.q.size(self.along) // self.lanes) * self.nest.size(0) // self.q.size(self.along)

    @property
    def leaves(self) -> int:
        return -(-self.nest.size(1) // LEAF)

    @property
    def run(self) -> int:
        """Leaves of a part."""
        return run_of(self.leaves, self.q.schedule.get("parts", 1))

    @property
    def parts(self) -> int:
        return -(-self.leaves // self.run)

    # ---- functions

    def whole(self) -> Launch:
        """All passes of a strip by one work-item."""
        return self._launch("", 1, lambda here, task, first: Sweeps(*self._given(here)).all())

    def shared(self) -> list[Launch]:
        scratch = 4 * len(self.nest.reduces(0)) * self.parts * self.count * self.lanes
        return [
            self._launch("_parts", self.parts, self._part, scratch),
            self._launch("_joined", 1, self._join, scratch),
        ]

    def _launch(self, name: str, parts: int, body: Callable[[Scope, str, str], None], scratch: int = 0) -> Launch:
        """`body`: the code of a strip, given its scope, the number of the task, the first column."""
        q, w, nest = self.q, self.writer, self.nest
        tasks = parts * self.count
        with q.function(w, q.name + name, nest, nest.live) as top:
            task, groups, items = spread(w, q.index, tasks, max(1, min(GROUP, tasks // SHARED_OUT)))
            part, *at, strip = digits(w, q.index, task, [parts, *self.sizes])
            if parts > 1:
                w.line(f"const {q.index} from = {part} * {self.run * LEAF};")
                w.line(f"const {q.index} upto = {ended(w, q.index, nest.size(1), 'from', self.run * LEAF)};")
            first = w.let(q.index, f"{strip} * {self.lanes}", "first")
            outer = top.enter(self.outer, at)
            neighbours(outer, self.along, self.lanes, first, lambda here: body(here, task, first))
        return Launch(q.name + name, groups, items, q.turns, scratch)

    def _given(self, here: Scope) -> tuple[Request, Scope, tuple[int, ...], int, int]:
        return self.q, here, self.nest.groups[1], 1, 1

    def _part(self, here: Scope, task: str, first: str) -> None:
        def keep(number: int, value: str) -> None:
            place = self._place(here, number, task, first)
            store = f"vstore{here.width}({value}, 0, {place})" if here.width > 1 else f"*({place}) = {value}"
            here.writer.line(f"{store};")

        Part(*self._given(here), self.run, keep).first()

    def _join(self, here: Scope, task: str, first: str) -> None:
        def part(number: int, part: str) -> str:
            place = self._place(here, number, f"{part} * {self.count} + {task}", first)
            return f"vload{here.width}(0, {place})" if here.width > 1 else f"*({place})"

        Joined(*self._given(here), self.parts, part).all()

    def _place(self, here: Scope, number: int, task: str, first: str) -> str:
        """Where a part of reduction `number` lies in scratch memory."""
        lane = "" if here.width > 1 else f" + {here.at[self.along]} - {first}"
        return f"(GLOBAL float*)scratch + ({number * self.parts * self.count} + {task}) * {self.lanes}{lane}"


@dataclass(frozen=True)
class Part(Sweeps):
    """The chains of one part. `keep`: takes the number of a reduction and its result."""

    run: int
    keep: Callable[[int, str], None]

    def _fold(self, reduces: list[int], visits: Visits) -> None:
        for number, name in enumerate(self._column_folds(reduces).part(visits.one, self.run).values()):
            self.keep(number, name)


@dataclass(frozen=True)
class Joined(Sweeps):
    """What happens once per column. `part`: the result of a reduction and a part."""

    parts: int
    part: Callable[[int, str], str]

    def all(self) -> None:
        reduces = self.nest.reduces(0)
        folds = self._column_folds(reduces)
        for number, i in enumerate(reduces):
            name = folds.joined(i, self.parts, partial(self.part, number))
            self.scope.values[i] = Typed(self.nest.kernel.body[i].dtype, name, self.scope.width)
        self.rest()
