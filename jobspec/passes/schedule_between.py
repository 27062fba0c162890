"""Schedules of trios (ir/trio.py): how many rows of attention a group of work-items takes through all three kernels.

Takes: kernels, steps, a target. Promises: a pure function of these; `between`, among the choices of the kernel in the
middle, is what asks for one launch, and no choice of it changes a bit. Nobody has measured it on a GPU: where nothing
is said, it is asked for by count. A key or value that is fetched serves the rows of a group, 32 at most, where a tile
of a contraction would use it for 64; what is saved is three passes over the scores. Whole rows of scores fill a
processor's shared memory, so that few groups are on it at once: at 1,024 keys one, of the 16 that its work-items
would allow. What counts then is how many work-items it has to hide a wait behind another's work: the fewest in a group
that come to WAITING teams of 32 there, two for each of its four schedulers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from jobspec.ir.contract import LANES
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule, Steps, called
from jobspec.ir.target import Target
from jobspec.ir.tiles import COLUMNS, GAP, HIGH, PAD, STAGE
from jobspec.ir.trio import Trio, find_trios
from jobspec.ir.types import Type
from jobspec.passes.layout import laid_out
from jobspec.passes.memory import Life, touched
from jobspec.passes.schedule_beside import BUSY

#: floats that are counted between lines in shared memory: more than there are
PADS = 2 * PAD
#: bytes of a processor's shared memory that each group costs beside its own
RESERVED = 1024
#: teams of work-items that keep a processor busy
WAITING = 8


@dataclass(frozen=True)
class Rows:
    """A group: `rows` of one batch position, taken through all three by `items` work-items."""

    rows: int
    items: int

    def bytes(self, keys: int) -> int:
        """Of shared memory: rows of scores, two stages of both operands, a number of each work-item."""
        stage = self.rows + COLUMNS * (self.items // HIGH) + 2 * PADS
        return 4 * (self.rows * (keys + PADS) + 2 * STAGE * stage + self.items) + 4 * GAP

    def fits(self, keys: int, target: Target) -> bool:
        return self.bytes(keys) <= target.l1

    def teams(self, keys: int, target: Target) -> int:
        """Work-items on a processor at once, in teams of 32."""
        return (target.l1 + RESERVED) // (self.bytes(keys) + RESERVED) * self.items // LANES

    @property
    def schedule(self) -> Schedule:
        return Schedule((("between", self.rows), ("items", self.items), ("team", LANES)))


#: from the most rows to the fewest: fewer for longer rows, or where there are too few groups
GROUPS = (Rows(32, 128), Rows(32, 256), Rows(16, 128), Rows(16, 256), Rows(8, 128))


def possible(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Of a kernel that may stand in the middle."""
    along = [inst for inst in kernel.body if inst.op == "store" and inst["view"].strides[-1] == 1]
    if kernel.kind != "rows" or not along or target.features == "cpu":
        return
    yield from (group.schedule for group in GROUPS if group.fits(kernel.axes[-1].size, target))


def choose(trio: Trio, target: Target) -> Rows | None:
    """None for three launches: as many rows as leave groups enough, where the most fit."""
    fitting = [group for group in GROUPS if group.fits(trio.keys, target)]
    if target.features == "cpu" or not any(group.rows == GROUPS[0].rows for group in fitting):
        return None
    busy = (group.rows for group in fitting if trio.positions * -(-trio.rows // group.rows) >= BUSY)
    rows = next(busy, GROUPS[-1].rows)
    return max((g for g in fitting if g.rows == rows), key=lambda g: min(WAITING, g.teams(trio.keys, target)))


def with_trios(
    schedules: Sequence[Schedule],
    steps: Steps,
    kernels: Sequence[Kernel],
    types: Sequence[tuple[str, Type]],
    outside: Iterable[int],
    target: Target,
) -> tuple[tuple[Schedule, ...], list[Trio]]:
    """`schedules` of `kernels`, changed where a trio is to be one launch; these trios. `types`: of all buffers."""
    if target.backend not in ("opencl", "cuda") or target.features == "cpu":
        return tuple(schedules), []
    chosen = list(schedules)
    found = list[Trio]()
    for trio in find_trios(steps, kernels, laid_out("arena", types)[0], outside):
        if group := choose(trio, target):
            chosen[trio.middle] = group.schedule
            found.append(trio)
    return tuple(chosen), found


def keep_apart(lives: dict[int, Life], steps: Steps, kernels: Sequence[Kernel], trios: Iterable[Trio]) -> None:
    """What is used between the first and the last of a trio lives until the last, which is where all three run."""
    order = list(called(steps))
    for trio in trios:
        at, end = order.index(trio.first), order.index(trio.last)
        for buffer in {buffer for kernel in order[at : end + 1] for buffer, _ in touched(kernels[kernel])}:
            lives[buffer].last = max(lives[buffer].last, end)


def without_memory(buffers: Sequence[Buffer], trios: Iterable[Trio]) -> tuple[Buffer, ...]:
    """`buffers`, where those that no one but a trio reads are in no memory."""
    found, offset = list(buffers), 0
    for number in sorted(number for trio in trios for number in trio.unseen):
        found[number] = replace(buffers[number], space="group", offset=offset)
        offset += -(-buffers[number].type.nbytes // 64) * 64
    return tuple(found)
