"""Places for buffers: one arena, memory used again as soon as nobody reads it any more.

Takes: buffers and the steps that use them. Promises: two buffers whose lives overlap never share a byte;
pinned buffers (state, reports, constants) keep theirs; every buffer starts on a 64-byte line. A
buffer used inside a loop but made outside lives until the loop ends.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Call, Steps, Turns, called
from jobspec.ir.types import Type
from jobspec.passes.layout import LINE, aligned


@dataclass
class Life:
    """Positions of the first write and the last use of a buffer, counted in calls."""

    first: int
    last: int


def touched(kernel: Kernel) -> Iterator[tuple[int, bool]]:
    """(buffer, written) for each view of a kernel."""
    for view, written in kernel.views():
        yield view.buffer, written


def find_lives(steps: Steps, kernels: list[Kernel]) -> dict[int, Life]:
    """The life of every buffer that a kernel touches."""
    lives: dict[int, Life] = {}
    walk(steps, kernels, lives, 0)
    return lives


def walk(steps: Steps, kernels: list[Kernel], lives: dict[int, Life], position: int) -> int:
    """Record uses from `position` on; the position after the last step."""
    for step in steps:
        if isinstance(step, Call):
            for buffer, _ in touched(kernels[step.kernel]):
                life = lives.setdefault(buffer, Life(position, position))
                life.last = position
            position += 1
        elif isinstance(step, Turns):
            start = position
            position = walk(step.steps, kernels, lives, position)
            stretch(step.steps, kernels, lives, start, position)
    return position


def stretch(steps: Steps, kernels: list[Kernel], lives: dict[int, Life], start: int, end: int) -> None:
    """What is used in a loop and was made before it, or is carried round it, lives for the whole loop."""
    used = dict.fromkeys(b for number in called(steps) for b, _ in touched(kernels[number]))
    fresh = written_first(steps, kernels)
    for buffer in used:
        life = lives[buffer]
        if life.first < start or buffer not in fresh:
            life.first, life.last = min(life.first, start), max(life.last, end)


def written_first(steps: Steps, kernels: list[Kernel]) -> set[int]:
    """Buffers that are wholly written in each turn before they are read: they need not outlive a turn."""
    seen: dict[int, bool] = {}
    for number in called(steps):
        views = kernels[number].views()
        for view, written in sorted(views, key=lambda v: v[1]):
            seen.setdefault(view.buffer, written and not any(view.turns))
    return {buffer for buffer, fresh in seen.items() if fresh}


def plan_memory(sizes: dict[int, Type], lives: dict[int, Life], start: int) -> tuple[dict[int, int], int]:
    """(byte offset of each buffer in `sizes`, bytes of the arena), everything from `start` on; largest first."""
    placed: list[tuple[int, int, Life]] = []
    offsets: dict[int, int] = {}
    end = start
    for buffer in sorted(sizes, key=lambda b: (-sizes[b].nbytes, b)):
        size, life = skewed(sizes[buffer].nbytes), lives[buffer]
        offset = lowest_gap(placed, life, size, start)
        insort(placed, (offset, offset + size, life), key=itemgetter(0, 1))
        offsets[buffer] = offset
        end = max(end, offset + size)
    return offsets, end


def skewed(size: int) -> int:
    """Whole lines, and one more for big buffers, so that equal ones do not start in the same cache set."""
    return aligned(size) + (LINE if size >= 4096 else 0)


def lowest_gap(placed: list[tuple[int, int, Life]], life: Life, size: int, start: int) -> int:
    """The lowest offset at which `size` bytes are free for all of `life`; `placed` in order of offsets."""
    offset = start
    for a, b, other in placed:
        if other.first <= life.last and life.first <= other.last:
            if a - offset >= size:
                break
            offset = max(offset, b)
    return offset
