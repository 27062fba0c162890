"""Which barriers a team can do without: those that only keep a thread from what it has made itself.

Takes: a routine's steps, its kernels as native code, where buffers lie. Promises: for each barrier, in the order of the
text, the sizes of teams (of TEAMS) in which no thread need wait there: whatever is touched on both sides, and written
on one, lies in blocks of equal size, of which each thread has the same one on both sides. Nothing else is assumed of
how threads run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product, takewhile

from jobspec.backends.llvm.convention import Native, Order
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Steps
from jobspec.ir.types import DTYPES

#: sizes of teams that are looked at; below 63
TEAMS = (2, 3, 4, 6, 8, 12, 16, 32)

#: from the space's start to the first thread's block, its size, and how far the next turn's blocks lie; bytes
Blocks = tuple[int, int, tuple[int, ...]]
#: "call" and the number of a kernel, or "barrier" and its own in the order of the text
Event = tuple[str, int]


@dataclass(frozen=True)
class Access:
    """A view's bytes `low` … `high`-1 of `space`, in any turn; `picked`: moved by an index."""

    view: View
    written: bool
    picked: bool
    space: str
    low: int
    high: int

    def meets(self, other: Access) -> bool:
        """Whether both touch some byte, one of them writing."""
        there = self.space == other.space and self.low < other.high and other.low < self.high
        return there and (self.written or other.written)


@dataclass(frozen=True)
class Touching:
    """What calls of one kernel touch. `buffers`: of the routine."""

    kernel: Kernel
    native: Native
    buffers: tuple[Buffer, ...]

    @cached_property
    def together(self) -> bool:
        """Whether all threads need each other until its end: its phases share scratch."""
        return len(self.native.phases) > 1 or self.native.shared > 0

    @cached_property
    def accesses(self) -> tuple[Access, ...]:
        picked = self._picked()
        return tuple(
            self._access(view, written, view in picked) for view, written in dict.fromkeys(self.kernel.views())
        )

    def _picked(self) -> frozenset[View]:
        moved = [inst["view"] for inst in self.kernel.body if inst.op == "load" and inst.args]
        chosen = [i for i in self.kernel.body if i.op == "product" and {"owner", "first"} & dict(i.attrs).keys()]
        return frozenset([*moved, *(i[side] for i in chosen for side in "ab")])

    def _access(self, view: View, written: bool, picked: bool) -> Access:
        buffer = self.buffers[view.buffer]
        item, low, high = DTYPES[buffer.type.dtype], 0, buffer.type.size
        if not picked and not any(view.turns) and self.kernel.kind not in ("scatter", "route"):
            steps = [(a.size - 1) * stride for a, stride in zip(self.kernel.axes, view.strides, strict=True)]
            low = view.offset + sum(min(0, step) for step in steps)
            high = view.offset + sum(max(0, step) for step in steps) + 1
        return Access(view, written, picked, buffer.space, buffer.offset + item * low, buffer.offset + item * high)

    def blocks(self, access: Access, team: int) -> Blocks | None:
        """Each thread's own, in a team of so many; None where they have none."""
        (phase, *more), view = self.native.phases, access.view
        if more or access.picked or phase.order is None or not even(phase.order, phase.tasks, team):
            return None
        own = own_block(phase.order, view, team)
        turns = tuple(abs(turn) for turn in view.turns if turn)
        if own is None or len(turns) > 1 or any(turn < team * own for turn in turns):
            return None
        buffer = self.buffers[view.buffer]
        item = DTYPES[buffer.type.dtype]
        return buffer.offset + item * view.offset, item * own, tuple(item * turn for turn in turns)


def even(order: Order, tasks: int, team: int) -> bool:
    """Whether shares of tasks are equal shares of positions."""
    if tasks % team or order.positions % team:
        return False
    each, share = tasks // team, order.positions // team
    return all(order.first(thread * each, tasks) == thread * share for thread in range(team))


def own_block(order: Order, view: View, team: int) -> int | None:
    """Elements of the block that holds all that a thread touches by `view`: thread t's begins t blocks behind the
    first's. None where there are no such blocks."""
    leading, inside, left = [], [], team
    for number, (size, axis) in enumerate(order.loops):
        stride = view.strides[axis]
        if number >= order.along or left == 1:
            inside.append((size, stride))
        elif left % size == 0:
            leading.append((size, stride))
            left //= size
        elif size % left == 0:
            leading.append((left, stride * (size // left)))
            inside.append((size // left, stride))
            left = 1
        else:
            return None
    _, block = leading[-1]
    reach = block
    for size, stride in reversed(leading):
        if size > 1 and stride != reach:
            return None
        reach = stride * size if size > 1 else reach
    span = sum((size - 1) * stride for size, stride in inside)
    return block if 0 <= span < block and all(stride >= 0 for _, stride in inside) else None


@dataclass
class Meetings:
    """Of a routine; `natives`: by number of kernel."""

    routine: Routine
    natives: Sequence[Native]

    @cached_property
    def touching(self) -> list[Touching]:
        both = zip(self.routine.kernels, self.natives, strict=True)
        return [Touching(kernel, native, self.routine.buffers) for kernel, native in both]

    def free(self) -> list[int]:
        """For each barrier the sizes of teams that need not meet there, as bits."""
        line = unrolled(self.routine.steps)
        needed = {team: self._needed(line, team) for team in TEAMS}
        return [
            sum(1 << team for team in TEAMS if number not in needed[team])
            for number in sorted({number for kind, number in line if kind == "barrier"})
        ]

    def _needed(self, line: Sequence[Event], team: int) -> set[int]:
        """Barriers at which a team of so many must meet."""
        needed: set[int] = set()
        behind: dict[int, None] = {}
        for at, (kind, number) in enumerate(line):
            if kind == "call":
                behind[number] = None
            elif number in needed or self._cross(behind, ahead(line, at), team):
                needed.add(number)
                behind = {}
        return needed

    def _cross(self, behind: Iterable[int], before: Sequence[int], team: int) -> bool:
        """Whether a thread that goes on could touch what another one behind it has still to do with."""
        return any(
            self.touching[earlier].together or any(self._meet(earlier, later, team) for later in before)
            for earlier in behind
        )

    def _meet(self, earlier: int, later: int, team: int) -> bool:
        for one, other in self._shared(earlier, later):
            own = self._blocks(earlier, one, team)
            if own is None or own != self._blocks(later, other, team):
                return True
        return False

    def _shared(self, earlier: int, later: int) -> list[tuple[Access, Access]]:
        """What two kernels both touch, one of them writing."""
        found = self._pairs.get((earlier, later))
        if found is None:
            pairs = product(self.touching[earlier].accesses, self.touching[later].accesses)
            found = self._pairs[earlier, later] = [(a, b) for a, b in pairs if a.meets(b)]
        return found

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], list[tuple[Access, Access]]]:
        return {}

    def _blocks(self, kernel: int, access: Access, team: int) -> Blocks | None:
        key = kernel, access, team
        if key not in self._own:
            self._own[key] = self.touching[kernel].blocks(access, team)
        return self._own[key]

    @cached_property
    def _own(self) -> dict[tuple[int, Access, int], Blocks | None]:
        return {}


def unrolled(steps: Steps) -> list[Event]:
    """Steps in their order; of each loop two turns: what a turn finds behind it is the same from the second on."""
    return _events(steps, 0)[0]


def _events(steps: Steps, first: int) -> tuple[list[Event], int]:
    """The same with barriers numbered from `first` on, and the number after the last."""
    found: list[Event] = []
    for step in steps:
        if isinstance(step, Call):
            found.append(("call", step.kernel))
        elif isinstance(step, Barrier):
            found.append(("barrier", first))
            first += 1
        else:
            inside, first = _events(step.steps, first)
            found += inside * 2
    return found, first


def ahead(line: Sequence[Event], at: int) -> list[int]:
    """The kernels called between the barrier at `at` and the next."""
    return [number for _, number in takewhile(lambda event: event[0] == "call", islice(line, at + 1, None))]
