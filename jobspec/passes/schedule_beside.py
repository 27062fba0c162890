"""Schedules of kernels without contractions on GPUs: how many neighbours a work-item takes, how many share a row.

Takes: a kernel of kind rows, columns or fill. Promises: a pure function of it; no choice changes a bit. `each`
neighbours are reached in one access of memory where they lie together (backends/c/several.py), so that as many elements
take fewer instructions, as long as there are work-items enough for all processors; nobody has timed it on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from jobspec.ir.contract import LANES, LEAF, ROW_BLOCK
from jobspec.ir.kernel import Kernel, lie_together, reduces, scans
from jobspec.ir.plan import Schedule

#: processors of an H100; groups that keep them busy, two for each; work-items of a group that share nothing
PROCESSORS = 132
BUSY, APART = 2 * PROCESSORS, 64
#: neighbours of a work-item
EACH = (4, 2)
#: rows of a group, LANES / each work-items to each; the fewest fill 32 work-items
ROWS = (16, 8, 4)
#: blocks of a long row that a group takes, and work-items that it has at most then
TEAMS, MOST = (16, 8, 4, 2, 1), 128
#: work-items of a group that share columns: of few instructions, each with the registers that it needs; of many, and
#: where each takes neighbouring columns
ITEMS, SPARING = 512, 256
#: insts of a kernel up to which so many have the registers that they need: 65,536 among them
LIGHT = 24
#: work-items that share a position of what is scattered
SHARERS = (4, 8, 16, 32, 64)
#: runs of neighbouring columns that lie beside each other in a group, at least: 64 bytes are one piece of memory
RUNS = 4


def choose(kernel: Kernel) -> Schedule:
    folds = reduces(kernel)
    if folds:
        return rows(kernel) if kernel.kind == "rows" else columns(kernel)
    if kernel.kind == "scatter":
        return scattered(kernel)
    return maps(kernel) if kernel.kind in ("rows", "columns", "fill") else Schedule()


def possible(kernel: Kernel) -> Iterator[Schedule]:
    """What else than `choose` says may be tried, likeliest first."""
    folds = reduces(kernel)
    if kernel.kind == "rows" and folds:
        fitting = (n for n in (*ROWS, 32) if suits_rows(kernel) and kernel.size("outer") % n == 0)
        yield from (Schedule.of(each=4, rows=n) for n in fitting)
        for each in (4, 1) if blocks(kernel) > 1 else ():
            if each == 1 or suits_rows(kernel):
                yield from (Schedule.of(blocks=n, each=each) for n in TEAMS if n * LANES // each <= MOST)
        yield Schedule.of(team=LANES)
    elif kernel.kind == "columns" and folds:
        yield from columns_tried(kernel)
    elif kernel.kind == "scatter":
        yield from (Schedule.of(parts=n) for n in SHARERS)
    elif kernel.kind in ("rows", "columns", "fill"):
        yield from (Schedule.of(each=n) for n in EACH if kernel.axes[-1].size % n == 0)


# ---- maps


def maps(kernel: Kernel) -> Schedule:
    """As many neighbours of the last axis as leave work-items enough."""
    elements, last = prod(axis.size for axis in kernel.axes), len(kernel.axes) - 1
    for each in EACH:
        if elements // each >= BUSY * APART and pays(kernel, last, each):
            return Schedule.of(each=each)
    return Schedule()


def pays(kernel: Kernel, axis: int, each: int) -> bool:
    """Whether most of what moves along the axis is reached in one access for `each` elements."""
    moving = [view for view, _ in kernel.views() if view.strides[axis]]
    whole = sum(lie_together(kernel, view, axis, each) for view in moving)
    return kernel.axes[axis].size % each == 0 and 2 * whole > len(moving)


# ---- rows


def rows(kernel: Kernel) -> Schedule:
    """Four lanes of a row to a work-item, where the rows are many; else one. Long rows are shared out by blocks."""
    if kernel.size("outer") < BUSY and blocks(kernel) > 1:
        return shared_out(kernel, 4 if suits_rows(kernel) else 1)
    for beside in ROWS if suits_rows(kernel) else ():
        groups = kernel.size("outer") / beside
        if groups >= (BUSY if beside > ROWS[-1] else BUSY // 2) and groups.is_integer():
            return Schedule.of(each=4, rows=beside)
    return Schedule.of(team=LANES)


def suits_rows(kernel: Kernel) -> bool:
    """Whether neighbours of a row are reached together; the first largest is looked for one by one."""
    return not scans(kernel) and pays(kernel, len(kernel.axes) - 1, 4)


def shared_out(kernel: Kernel, each: int) -> Schedule:
    """A block to each team, as many teams to a group as leave groups enough, but a whole 32 work-items."""
    teams = [n for n in TEAMS if n * LANES // each <= MOST and n >= each]
    busy = (n for n in teams if kernel.size("outer") * blocks(kernel) // n >= BUSY)
    return Schedule.of(blocks=next(busy, teams[-1]), each=each)


def blocks(kernel: Kernel) -> int:
    """Of a row; more than one only where a row may be shared out by blocks."""
    return 1 if scans(kernel) else -(-kernel.axes[-1].size // ROW_BLOCK)


# ---- columns


def columns(kernel: Kernel) -> Schedule:
    """Work-items share a column, run of leaves by run, where the columns alone would leave a GPU idle."""
    kept, leaves = sizes(kernel)
    if suits_columns(kernel, 4) and kept >= 4 * BUSY * APART:
        return Schedule.of(each=4)
    if leaves < 2 or kept > BUSY * ITEMS:
        return Schedule()
    if suits_columns(kernel, 4):
        return shared(kept // 4, leaves)
    beside = min(LANES, kept)
    items = ITEMS if len(kernel.body) <= LIGHT else SPARING
    return Schedule.of(beside=beside, parts=min(leaves, items // beside))


def shared(runs: int, leaves: int) -> Schedule:
    """Runs of four columns, shared out: few in a group, so that there are many groups, but a whole 32 work-items."""
    beside = RUNS
    while beside < runs and (beside * min(leaves, SPARING // beside) < LANES or runs // (2 * beside) >= BUSY):
        beside *= 2
    beside = min(beside, runs)
    return Schedule.of(beside=beside, each=4, parts=min(leaves, SPARING // beside))


def sizes(kernel: Kernel) -> tuple[int, int]:
    """Columns, and leaves of each."""
    return kernel.size("kept"), -(-kernel.size("reduced") // LEAF)


def suits_columns(kernel: Kernel, each: int) -> bool:
    """Whether neighbouring columns are reached together."""
    kept = kernel.axes_of("kept")
    return bool(kept) and not scans(kernel) and pays(kernel, kept[-1], each)


def columns_tried(kernel: Kernel) -> Iterator[Schedule]:
    """Other shares of a column, other numbers of neighbours."""
    kept, leaves = sizes(kernel)
    for each in (e for e in EACH if suits_columns(kernel, e)):
        yield Schedule.of(each=each)
        shapes = ((beside, parts) for beside in (4, 8, 16) for parts in (leaves, -(-leaves // 2)))
        fitting = ((b, p) for b, p in shapes if p > 1 and b * p <= SPARING and b <= kept)
        yield from (Schedule.of(beside=b, each=each, parts=p) for b, p in fitting)
    parts = min(leaves, ITEMS // min(LANES, kept))
    shapes = ((beside, parts * run) for beside in (LANES, 8, 16) for run in (1, 2, 4))
    yield from (Schedule.of(beside=b, parts=p) for b, p in shapes if p > 1 and b * p <= ITEMS)


# ---- sums into rows that an index picks


def scattered(kernel: Kernel) -> Schedule:
    """As many to a position as keep all processors busy: each looks at all places, and adds its own rows'."""
    rest, places = kernel.size("rest"), kernel.size("place")
    enough = next((n for n in SHARERS if rest * n >= BUSY * APART), SHARERS[-1])
    return Schedule.of(parts=enough) if places >= SHARERS[0] and rest < BUSY * APART else Schedule()
