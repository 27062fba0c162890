"""Schedules of trios (ir/trio.py): how many rows of attention a group of work-items takes through all three kernels.

Takes: kernels, steps, a target. Promises: a pure function of these; `between`, among the choices of the kernel in the
middle, is what asks for one launch, and no choice of it changes a bit. Nobody has measured it on a GPU: where nothing
is said, it is asked for by count. A key or value that is fetched serves the rows of a group, 32 at most, where a tile
of a contraction would use it for 64; what is saved is three passes over the scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule, Steps, called
from jobspec.ir.target import Target
from jobspec.ir.trio import Trio, find_trios
from jobspec.ir.types import Type
from jobspec.passes.layout import laid_out
from jobspec.passes.memory import Life, touched

#: rows of a group; fewer for longer rows, or where there are too few groups
ROWS = (32, 16, 8)
#: work-items of a group that share columns, and rows; their sums each way; steps of k at a time
HIGH, WIDE, COLUMNS, STAGE = 8, 16, 4, 16
#: floats between lines in shared memory, at most (backends/c)
PAD = 8
#: groups that keep a GPU's processors busy
BUSY = 264
#: levels whose assembler (NVIDIA's, 13.0) crashes on one of these launches, t5_small's attention within its decoder
CRASHES = ("sm_120", "sm_121")


def possible(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Of a kernel that may stand in the middle, from the most rows to the fewest."""
    along = [inst for inst in kernel.body if inst.op == "store" and inst["view"].strides[-1] == 1]
    if kernel.kind != "rows" or not along or target.features == "cpu":
        return
    yield from (made(rows) for rows in ROWS if fits(rows, kernel.axes[-1].size, target))


def made(rows: int) -> Schedule:
    return Schedule((("between", rows), ("team", 32)))


def fits(rows: int, keys: int, target: Target) -> bool:
    """Whether so many rows of scores, and two stages of both operands, lie in shared memory."""
    if target.cpu in CRASHES:
        return False
    stage = rows + COLUMNS * WIDE + 2 * PAD
    return 4 * (rows * (keys + PAD) + 2 * STAGE * stage + HIGH * WIDE) <= target.l1


def choose(trio: Trio, target: Target) -> int:
    """Rows of a group, 0 for three launches: as many as leave groups enough, where the most fit."""
    if target.features == "cpu" or not fits(ROWS[0], trio.keys, target):
        return 0
    busy = (rows for rows in ROWS if trio.positions * -(-trio.rows // rows) >= BUSY)
    return next(busy, ROWS[-1])


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
    found = [t for t in find_trios(steps, kernels, laid_out("arena", types)[0], outside) if choose(t, target)]
    for trio in found:
        chosen[trio.middle] = made(choose(trio, target))
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
