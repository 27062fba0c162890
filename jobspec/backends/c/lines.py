"""Which lines of a tile are a work-item's.

Takes: how many lines it has, how many work-items there are beside it. Promises: its lines lie side by side by fours (or
twos), which one access to memory takes, and those of all work-items follow each other.
"""

from __future__ import annotations

#: elements that lie together in a work-item's tile: as many as one access takes
TOGETHER = 4


def together_of(each: int) -> int:
    """How many of a work-item's `each` lie side by side."""
    return next(n for n in (TOGETHER, 2, 1) if each % n == 0)


def wider(text: str, width: int) -> str:
    return f"{text} * {width}" if width > 1 else text


def line_of(i: int | str, place: str, items: int, each: int) -> str:
    """The line of the tile that is number `i` of the work-item's `each`: all `items` have a run of neighbours, then all
    another."""
    run = together_of(each)
    if isinstance(i, int):
        return f"{i // run * run * items} + {place} * {run} + {i % run}"
    return f"({i} / {run} * {run * items} + {place} * {run} + {i} % {run})"
