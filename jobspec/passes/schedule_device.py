"""Schedules for devices that run rendered C: how large a tile a work-item takes, how many share a row.

Takes: a kernel and a target of the opencl or cuda backend, whose `features` name its shape, `cpu` or `gpu`. Promises:
a pure function of the two; what the choices mean stands in backends/c; none of them changes a bit, nor does any of
`ranked`, which `tune` tries and plan files may hold. On a GPU a contraction is cut into tiles that groups of work-items
share: as large as leaves enough groups for its processors.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from jobspec.ir.classes import has_matrices
from jobspec.ir.contract import LANES, LEAF
from jobspec.ir.contraction import Contraction, normal_form, size
from jobspec.ir.kernel import Kernel, reduces
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.tiles import ACROSS, DOWN, PAD
from jobspec.passes import schedule_aside, schedule_beside, schedule_between
from jobspec.passes.schedule_beside import made

#: rows of a work-item's tile on a processor; vectors beside each other where sums fit in many registers, in few, in one
CPU_ROWS, CPU_VECTORS = 6, {16: 4, 8: 2, 4: 2}
GPU_TILE = 4
#: sums of a work-item each way, work-items each way, steps of k at a time: from the most reuse to the least
GPU_TILES = ((8, 16, 16), (4, 16, 16), (4, 8, 16))
#: tiles to try there, in vectors; and tiles of a GPU's groups, as GPU_TILES with rows and columns apart
CPU_TILES = ((6, 4), (8, 3), (4, 4), (6, 2), (12, 2), (4, 2), (6, 1), (1, 4), (12, 1))
GPU_SHAPES = (
    (8, 8, 16, 16, 8), (8, 8, 16, 16, 16), (8, 8, 8, 16, 8), (8, 8, 16, 8, 8), (4, 8, 16, 16, 16), (8, 4, 16, 16, 16),
    (8, 8, 8, 8, 16), (4, 4, 16, 16, 16), (4, 8, 8, 16, 16), (8, 4, 16, 8, 16), (4, 4, 8, 16, 16), (4, 4, 16, 8, 16),
    (4, 4, 8, 8, 16), (4, 4, 8, 8, 32),
)  # fmt: skip
#: the same by matrix instructions (backends/c/matrices.py), and which are for few results
MATRIX_SHAPES = (
    (4, 4, 2, 4, 32), (4, 4, 2, 2, 32), (2, 4, 2, 4, 32), (4, 8, 2, 2, 32), (2, 4, 2, 2, 32), (2, 4, 2, 2, 16),
    (2, 2, 2, 2, 32), (1, 2, 2, 2, 32), (1, 1, 1, 1, 32), (1, 1, 1, 1, 16),
)  # fmt: skip
MATRIX_SMALL, MATRIX_SMALL_TILE, MATRIX_LEAST = (1, 2, 2, 2, 32), 16, (1, 1, 1, 1, 32)
#: tasks that columns on a processor are cut into at least; columns that are too few for that unless cut into parts, and
#: enough without
CPU_TASKS, FEW, MANY = 64, 128, 1024
#: vectors of all short rows that a work-item takes at once
CPU_HELD = 8
#: tiles that must use a strip of b before copying it together pays
REUSE = 3


def choose(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of one kernel."""
    if kernel.kind == "contract":
        return contraction(kernel, target)
    folds = reduces(kernel)
    if target.features != "cpu":
        return schedule_beside.choose(kernel)
    return in_vectors(kernel, target, folds)


def ranked(kernel: Kernel, target: Target) -> list[Schedule]:
    """Every schedule that the kernel may be executed with: the scheduler's own, then what is most like it."""
    chosen = choose(kernel, target)
    others = tiles(kernel, target) if kernel.kind == "contract" else others_of(kernel, target, chosen)
    return list(dict.fromkeys([chosen, *others]))


def tiles(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Of a contraction, likeliest first."""
    if schedule_aside.suits(normal_form(kernel), target):
        return aside_tiles(kernel)
    if by_matrices(normal_form(kernel), target):
        return matrix_tiles(kernel, target)
    return cpu_tiles(kernel, target) if target.features == "cpu" else gpu_tiles(kernel, target)


def others_of(kernel: Kernel, target: Target, chosen: Schedule) -> Iterator[Schedule]:
    """Of kernels that multiply no matrices: narrower vectors, other shares of a column, each work-item by itself."""
    if target.features == "cpu" and kernel.kind == "columns" and reduces(kernel):
        yield from strips(kernel, target)
    elif chosen.get("lanes", 1) > 1:
        yield from (made(lanes=target.lanes, rows=rows) for rows in (1, 2, 4) if chosen.get("rows", 0))
        yield from (made(lanes=lanes) for lanes in (target.lanes, 8, 4) if lanes <= target.lanes)
    if target.features != "cpu":
        yield from schedule_beside.possible(kernel)
    if chosen.get("team", 0) or chosen.get("rows", 0):
        yield from schedule_between.possible(kernel, target)
    yield Schedule()


def in_vectors(kernel: Kernel, target: Target, folds: bool) -> Schedule:
    """Rows, and kernels that fold nothing, along the last axis; columns beside each other where they are few, so that
    their parts are shared out, or as many as fill every processor by themselves. Between the two compilers join
    neighbouring work-items as well, in one launch."""
    if folds and kernel.kind == "columns":
        kept = kernel.size("kept")
        return next(strips(kernel, target), Schedule()) if not FEW <= kept < MANY else Schedule()
    if folds and kernel.kind == "rows" and (rows := rows_at_once(kernel, target.lanes)):
        return made(lanes=target.lanes, rows=rows)
    maps = kernel.kind in ("rows", "columns", "fill") and not folds
    if (folds and kernel.kind == "rows") or (maps and kernel.axes[-1].size >= target.lanes):
        return made(lanes=target.lanes)
    return Schedule()


def rows_at_once(kernel: Kernel, lanes: int) -> int:
    """Short rows that a work-item takes side by side, so that one's long chain of operations runs while another's does;
    0 where a row is long, or no whole number of vectors."""
    row, outer = kernel.size("row"), kernel.size("outer")
    fitting = CPU_HELD * lanes // row
    return next((n for n in (4, 2, 1) if n <= fitting and outer % n == 0), 0) if row % LANES == 0 else 0


def strips(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Neighbouring columns in vectors, the widest first; strips that are few are shared out, runs of leaves each."""
    kept, reduced = kernel.axes_of("kept"), kernel.size("reduced")
    for lanes in dict.fromkeys((target.lanes, 8, 4)):
        fitting = [axis for axis in kept if kernel.axes[axis].size >= lanes > 1]
        if fitting and lanes <= target.lanes:
            along = min(reversed(fitting), key=lambda axis: scattered(kernel, axis))
            count = prod(kernel.axes[a].size if a != along else -(-kernel.axes[a].size // lanes) for a in kept)
            parts = min(-(-reduced // LEAF), max(1, CPU_TASKS // count))
            yield made(along=along, lanes=lanes, parts=parts)
            if parts > 1:
                yield made(along=along, lanes=lanes)


def scattered(kernel: Kernel, axis: int) -> int:
    """Views whose elements do not lie together along `axis`."""
    return sum(view.strides[axis] not in (0, 1) for view, _ in kernel.views())


def contraction(kernel: Kernel, target: Target) -> Schedule:
    form = normal_form(kernel)
    if schedule_aside.suits(form, target):
        return aside(kernel, form)
    if by_matrices(form, target):
        return matrices(kernel, form, target)
    return on_cpu(form, target) if target.features == "cpu" else on_gpu(kernel, form, target)


# ---- contractions on processors


def on_cpu(form: Contraction, target: Target) -> Schedule:
    swap = (form.n[-1].b != 1 and form.m[-1].a == 1) or form.n[-1].size < target.lanes <= form.m[-1].size
    form = form.swapped() if swap else form
    columns, rows = form.n[-1].size, min(CPU_ROWS, size(form.m))
    lanes = lanes_for(form, target)
    vectors = max(1, min(CPU_VECTORS.get(lanes, GPU_TILE), columns // lanes))
    pack = form.plain and lanes > 1 and form.n[-1].b != 1 and size(form.m) >= REUSE * rows
    return made(swap=int(swap), rows=rows, columns=vectors, lanes=lanes, pack=int(pack))


def lanes_for(form: Contraction, target: Target) -> int:
    """The widest vectors that a row of results fills."""
    return next((n for n in (target.lanes, 8, 4) if n <= min(target.lanes, form.n[-1].size)), 1)


def cpu_tiles(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Copied or not, tiles of other shapes, then the same with rows and columns exchanged."""
    own = normal_form(kernel)
    chosen = on_cpu(own, target)
    for swap in (chosen.get("swap", 0), 1 - chosen.get("swap", 0)):
        form = own.swapped() if swap else own
        lanes = lanes_for(form, target)
        for rows, vectors in CPU_TILES:
            if rows <= size(form.m) and vectors * lanes <= form.n[-1].size:
                packs = (1, 0) if form.plain and lanes > 1 else (0,)
                yield from (made(swap=swap, rows=rows, columns=vectors, lanes=lanes, pack=p) for p in packs)


# ---- contractions on GPUs


def on_gpu(kernel: Kernel, form: Contraction, target: Target) -> Schedule:
    """Neighbouring work-items write neighbouring results; too small or chosen by an index, each takes its own sums."""
    swap = across_m(kernel, form)
    form = form.swapped() if swap else form
    for each, items, stage in GPU_TILES if form.plain else ():
        tile = each * items
        groups = size(form.batch) * -(-size(form.m) // tile) * -(-size(form.n) // tile)
        last = (each, items, stage) == GPU_TILES[-1]
        if staged_fits(tile, tile, stage, target) and suits(form, tile) and (groups >= schedule_beside.BUSY or last):
            return made(swap=swap, rows=each, columns=each, high=items, wide=items, stage=stage)
    return made(swap=swap, rows=min(GPU_TILE, size(form.m)), columns=min(GPU_TILE, form.n[-1].size), lanes=1)


def across_m(kernel: Kernel, form: Contraction) -> int:
    """Whether results that lie together differ in m."""
    stores = [inst["view"].strides for inst in kernel.body if inst.op == "store"]
    along_n, along_m = (any(strides[e[-1].axis] == 1 for strides in stores) for e in (form.n, form.m))
    return int(along_m and not along_n)


def staged_fits(down: int, across: int, stage: int, target: Target) -> bool:
    """Whether two stages of both operands lie in shared memory."""
    return 2 * 4 * stage * (down + across + 2 * PAD) <= target.l1


def suits(form: Contraction, tile: int) -> bool:
    """Whether a tile is filled by more than a half."""
    return min(size(form.m), size(form.n)) * 2 > tile


def gpu_tiles(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    """Other tiles through shared memory, square and not, with rows and columns exchanged, then none."""
    own = normal_form(kernel)
    chosen = on_gpu(kernel, own, target)
    for swap in (chosen.get("swap", 0), 1 - chosen.get("swap", 0)):
        form = own.swapped() if swap else own
        for rows, columns, high, wide, stage in GPU_SHAPES if form.plain else ():
            down, across = rows * high, columns * wide
            if staged_fits(down, across, stage, target) and down < 2 * size(form.m) and across < 2 * size(form.n):
                yield made(swap=swap, rows=rows, columns=columns, high=high, wide=wide, stage=stage)
        yield made(swap=swap, rows=min(GPU_TILE, size(form.m)), columns=min(GPU_TILE, form.n[-1].size), lanes=1)


# ---- matrix instructions


def by_matrices(form: Contraction, target: Target) -> bool:
    """A rule of the kernel and the class of devices: no schedule may decide it."""
    return form.own and form.plain and has_matrices(target)


def matrices(kernel: Kernel, form: Contraction, target: Target) -> Schedule:
    """The largest tile that is filled by a half and leaves enough groups; the smallest always fits."""
    swap = across_m(kernel, form)
    form = form.swapped() if swap else form
    for down, across, shape in matrix_shapes():
        groups = size(form.batch) * -(-size(form.m) // down) * -(-size(form.n) // across)
        if groups >= schedule_beside.BUSY and 2 * size(form.m) > down and 2 * size(form.n) > across:
            return made(swap=swap, matrices=1, **shape)
    small = MATRIX_SMALL if min(size(form.m), size(form.n)) > MATRIX_SMALL_TILE else MATRIX_LEAST
    return made(swap=swap, matrices=1, **named(small))


def matrix_tiles(kernel: Kernel, target: Target) -> Iterator[Schedule]:
    swap = matrices(kernel, normal_form(kernel), target).get("swap", 0)
    for each in (swap, 1 - swap):
        yield from (made(swap=each, matrices=1, **shape) for _, _, shape in matrix_shapes())


def aside(kernel: Kernel, form: Contraction) -> Schedule:
    """Neighbouring work-items write neighbouring results."""
    swap = across_m(kernel, form)
    return made(swap=swap, matrices=1, **schedule_aside.choose(form.swapped() if swap else form))


def aside_tiles(kernel: Kernel) -> Iterator[Schedule]:
    swap = across_m(kernel, normal_form(kernel))
    for each in (swap, 1 - swap):
        yield from (made(swap=each, matrices=1, **shape) for shape in schedule_aside.possible())


def matrix_shapes() -> Iterator[tuple[int, int, dict[str, int]]]:
    """Rows and columns of a tile, and the choices that make it."""
    for shape in MATRIX_SHAPES:
        rows, columns, high, wide, _ = shape
        yield DOWN * rows * high, ACROSS * columns * wide, named(shape)


def named(shape: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(("rows", "columns", "high", "wide", "stage"), shape, strict=True))
