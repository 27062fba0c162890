"""Schedules of rendered C on processors: vectors along rows, strips of columns, tiles of contractions in registers.

Takes: a kernel and a target whose `features` are `cpu`. Promises: a pure function of the two; no choice changes a bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from jobspec.ir.contract import LANES, LEAF
from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel, reduces
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

#: rows of a work-item's tile; vectors beside each other where sums fit in many registers, in few, in one
ROWS, VECTORS, FEWEST = 6, {16: 4, 8: 2, 4: 2}, 4
#: tiles to try, in vectors
TILES = ((6, 4), (8, 3), (4, 4), (6, 2), (12, 2), (4, 2), (6, 1), (1, 4), (12, 1))
#: tasks that columns are cut into at least; columns that are too few for that unless cut into parts, and enough without
TASKS, FEW, MANY = 64, 128, 1024
#: vectors of all short rows that a work-item takes at once
HELD = 8
#: tiles that must use a strip of b before copying it together pays
REUSE = 3


def choose(kernel: Kernel, target: Target) -> Schedule:
    return contraction(normal_form(kernel), target) if kernel.kind == "contract" else in_vectors(kernel, target)


def possible(kernel: Kernel, target: Target, chosen: Schedule) -> Iterator[Schedule]:
    """What else than `chosen` may be tried, likeliest first."""
    if kernel.kind == "contract":
        yield from tiles(kernel, target, chosen.get("swap", 0))
    elif kernel.kind == "columns" and reduces(kernel):
        yield from strips(kernel, target)
    elif chosen.get("lanes", 1) > 1:
        yield from (Schedule.of(lanes=target.lanes, rows=rows) for rows in (1, 2, 4) if chosen.get("rows", 0))
        yield from (Schedule.of(lanes=lanes) for lanes in (target.lanes, 8, 4) if lanes <= target.lanes)


def in_vectors(kernel: Kernel, target: Target) -> Schedule:
    """Rows, and kernels that fold nothing, along the last axis; columns beside each other where they are few, so that
    their parts are shared out, or as many as fill every processor by themselves. Between the two compilers join
    neighbouring work-items as well, in one launch."""
    folds = reduces(kernel)
    if folds and kernel.kind == "columns":
        kept = kernel.size("kept")
        return next(strips(kernel, target), Schedule()) if not FEW <= kept < MANY else Schedule()
    if folds and kernel.kind == "rows" and (rows := rows_at_once(kernel, target.lanes)):
        return Schedule.of(lanes=target.lanes, rows=rows)
    maps = kernel.kind in ("rows", "columns", "fill") and not folds
    if (folds and kernel.kind == "rows") or (maps and kernel.axes[-1].size >= target.lanes):
        return Schedule.of(lanes=target.lanes)
    return Schedule()


def rows_at_once(kernel: Kernel, lanes: int) -> int:
    """Short rows that a work-item takes side by side, so that one's long chain of operations runs while another's does;
    0 where a row is long, or no whole number of vectors."""
    row, outer = kernel.size("row"), kernel.size("outer")
    fitting = HELD * lanes // row
    return next((n for n in (4, 2, 1) if n <= fitting and outer % n == 0), 0) if row % LANES == 0 else 0


def strips(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Neighbouring columns in vectors, the widest first; strips that are few are shared out, runs of leaves each."""
    kept, reduced = kernel.axes_of("kept"), kernel.size("reduced")
    for lanes in dict.fromkeys((target.lanes, 8, 4)):
        fitting = [axis for axis in kept if kernel.axes[axis].size >= lanes > 1]
        if fitting and lanes <= target.lanes:
            along = min(reversed(fitting), key=lambda axis: scattered(kernel, axis))
            count = prod(kernel.axes[a].size if a != along else -(-kernel.axes[a].size // lanes) for a in kept)
            parts = min(-(-reduced // LEAF), max(1, TASKS // count))
            yield Schedule.of(along=along, lanes=lanes, parts=parts)
            if parts > 1:
                yield Schedule.of(along=along, lanes=lanes)


def scattered(kernel: Kernel, axis: int) -> int:
    """Views whose elements do not lie together along `axis`."""
    return sum(view.strides[axis] not in (0, 1) for view, _ in kernel.views())


# ---- contractions


def contraction(form: Contraction, target: Target) -> Schedule:
    swap = (form.n[-1].b != 1 and form.m[-1].a == 1) or form.n[-1].size < target.lanes <= form.m[-1].size
    form = form.swapped() if swap else form
    columns, rows = form.n[-1].size, min(ROWS, size(form.m))
    lanes = lanes_for(form, target)
    vectors = max(1, min(VECTORS.get(lanes, FEWEST), columns // lanes))
    pack = form.plain and lanes > 1 and form.n[-1].b != 1 and size(form.m) >= REUSE * rows
    return Schedule.of(swap=int(swap), rows=rows, columns=vectors, lanes=lanes, pack=int(pack))


def lanes_for(form: Contraction, target: Target) -> int:
    """The widest vectors that a row of results fills."""
    return next((n for n in (target.lanes, 8, 4) if n <= min(target.lanes, form.n[-1].size)), 1)


def tiles(kernel: Kernel, target: Target, first: int) -> Iterator[Schedule]:
    """Copied or not, tiles of other shapes, then the same with rows and columns exchanged."""
    own = normal_form(kernel)
    for swap in (first, 1 - first):
        form = own.swapped() if swap else own
        lanes = lanes_for(form, target)
        for rows, vectors in TILES:
            if rows <= size(form.m) and vectors * lanes <= form.n[-1].size:
                packs = (1, 0) if form.plain and lanes > 1 else (0,)
                yield from (Schedule.of(swap=swap, rows=rows, columns=vectors, lanes=lanes, pack=p) for p in packs)
