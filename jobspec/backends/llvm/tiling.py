"""The loops of a scheduled contraction, as numbers.

Takes: a kernel's normal form and its schedule. Promises: `Tiling` says how many panels, tiles and groups
there are and how much scratch they need; it depends on kernel and schedule alone. The choices:

    rows      rows of a register tile, at most
    vectors   vectors of 16 columns of a register tile, at most
    pack      1: a panel of b is copied to private memory, where columns lie side by side by the first tile that needs
              it; 0: b is read where it lies
    group     leaves of k that make one partial sum, a power of two; 0: k is not split
    flat      1: a tile may run across the axes of m; 0: it stays in the innermost
    swap      1: a and b, m and n change roles
    ahead     fetched ahead, added up: 1: the rows of the next tile, packed or not; 2: the next panel; 4: what the
              epilogue touches; 8: what the next turn of the loops outside takes; 16: the lines beside the tile's rows,
              which lie side by side
    slab      tiles whose rows of a are copied to private memory before the panels go over them; 0: a is read where it
              lies. Only where rows lie side by side
    across    1: a task is a tile's rows in all panels; 0: it is one tile. Only where rows are not packed and k is whole
    through   1: sums go through private memory to the epilogue; 2: and it runs on them while the next tile is
              multiplied; 0: it works on the registers
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.convention import Light, Order
from jobspec.backends.llvm.pack import SLACK
from jobspec.backends.llvm.scope import WIDTH
from jobspec.backends.llvm.tile import BYTES, levels
from jobspec.backends.llvm.walks import MOST_LISTED
from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Contraction, Cut, cut, normal_form, size
from jobspec.ir.kernel import Axis, Kernel
from jobspec.ir.plan import Schedule


@dataclass(frozen=True, slots=True)
class Kind:
    """Panels `first` … `first` + `count` - 1: `vectors` wide, the last vector with `lanes` columns."""

    first: int
    count: int
    vectors: int
    lanes: int


@dataclass(frozen=True)
class Tiling:
    """`rows`: the tiles of one run of rows; `columns`: the panels of one row of vectors; `steps`: of one group of k;
    `k`: its axes, by number."""

    form: Contraction
    k: tuple[tuple[int, Axis], ...]
    rows: Cut
    columns: Cut
    steps: int
    packed: bool
    ahead: int
    flat: bool
    through: bool
    late: bool
    slab: int
    across: bool

    @property
    def groups(self) -> int:
        """Parts of k that are summed apart."""
        return -(-self.form.k_size // self.steps)

    @property
    def even(self) -> bool:
        """Whether all groups have as many steps."""
        return self.form.k_size % self.steps == 0

    @property
    def outer(self) -> int:
        """Turns of the loops outside the panels."""
        return size(self.form.outer)

    @property
    def runs(self) -> int:
        """Runs of rows, each tiled by itself."""
        return 1 if self.flat else size(self.form.m[:-1])

    @property
    def tiles_of_panel(self) -> int:
        return self.runs * self.rows.parts

    @property
    def tiles_at_once(self) -> int:
        """Tiles of a panel that are made before the next panel is taken up."""
        return self.slab or self.tiles_of_panel

    @property
    def slabs(self) -> int:
        """How often the panels are gone through; the last time there may be fewer tiles."""
        return -(-self.tiles_of_panel // self.tiles_at_once)

    @property
    def tiles(self) -> int:
        """Tasks of the sums; those past the last tile of the last slab do nothing."""
        if self.across:
            return self.outer * self.tiles_of_panel
        return self.outer * self.groups * self.slabs * self.columns.parts * self.tiles_at_once

    @property
    def copied(self) -> bool:
        """Whether the first tile of a panel packs it."""
        return self.packed and readable(self.form)

    @property
    def light(self) -> Light | None:
        """Tasks of the last group of k, where it has fewer steps."""
        if self.even or self.outer > 1:
            return None
        each = self.tiles // self.groups
        return Light(self.tiles - each, self.steps, self.form.k_size - (self.groups - 1) * self.steps)

    @property
    def vectors(self) -> int:
        """Vectors of results: tasks of the join."""
        return self.outer * size(self.form.m) * self.columns.length

    def weight(self, finish: int) -> int:
        """Instructions of a task, roughly, with `finish` for each vector of results."""
        return (self.steps + finish) * self.rows.size * (self.columns.length if self.across else self.columns.size)

    @property
    def order(self) -> Order | None:
        """What tasks stand for, where they go through rows or turns of the loops outside."""
        form = self.form
        if self.groups > 1:
            return None
        outer, rows = form.outer, form.m
        k = [(axis.size, number) for number, axis in self.k]
        loops = (*((e.size, e.axis) for e in (*outer, *rows, form.n[-1])), *k)
        return Order(loops, len(outer) + len(rows), self.rows) if self.across else Order(loops, len(outer))

    @property
    def tile_bytes(self) -> int:
        """Of the sums of the largest tile."""
        return self.rows.size * self.columns.size * BYTES

    @property
    def stack_at(self) -> int:
        """Private bytes before the stack of partial sums: room for the tile itself."""
        return self.tile_bytes if self.through else 0

    @property
    def panel_at(self) -> int:
        held = 1 if self.form.chain else levels(self.steps)
        return self.stack_at + held * self.tile_bytes

    @property
    def slab_at(self) -> int:
        return self.panel_at + ((self.steps + SLACK) * self.columns.size * BYTES if self.packed else 0)

    @property
    def private(self) -> int:
        """Bytes of scratch per thread."""
        return self.slab_at + self.slab * self.rows_bytes

    @property
    def rows_bytes(self) -> int:
        """Of the rows of one tile, packed."""
        return -(-4 * self.rows.size * self.steps // BYTES) * BYTES

    @property
    def shared(self) -> int:
        """Bytes of the groups' sums."""
        return self.groups * self.vectors * BYTES if self.groups > 1 else 0

    def panels(self) -> list[Kind]:
        """Kinds of panels, in order: at most two sizes, and the last one where its last vector is not whole."""
        last = self.form.n[-1].size - WIDTH * (self.columns.length - 1)
        kinds = [Kind(first, count, size_, WIDTH) for first, count, size_ in self.columns.kinds()]
        if last < WIDTH:
            end = kinds.pop()
            kinds += [Kind(end.first, end.count - 1, end.vectors, WIDTH)] if end.count > 1 else []
            kinds.append(Kind(end.first + end.count - 1, 1, end.vectors, last))
        return kinds


def readable(form: Contraction) -> bool:
    """Whether b can be read where it lies: its columns side by side, its steps by one stride or one table."""
    side_by_side = form.n[-1].b == 1 or form.n[-1].size == 1
    return side_by_side and (len(form.kb) == 1 or form.k_size <= MOST_LISTED)


def movable(form: Contraction, flat: bool) -> bool:
    """Whether rows of a can be packed: those of a tile lie side by side, and no index decides which they are."""
    return form.plain and form.m[-1].a == 1 and (not flat or len(form.m) == 1)


def tiling_of(kernel: Kernel, schedule: Schedule) -> Tiling:
    """The loops that `schedule` asks for."""
    form = normal_form(kernel)
    if schedule.get("swap", 0):
        form = form.swapped()
    flat = bool(schedule.get("flat", 0))
    length = size(form.m) if flat else form.m[-1].size
    assert form.span is None or readable(form), "what an index cuts out of k is read where it lies"
    slab = schedule.get("slab", 0) if movable(form, flat) else 0
    rows = cut(length, schedule.get("rows", 4))
    group = schedule.get("group", 0) * LEAF if form.span is None and not form.chain else 0
    return Tiling(
        form=form,
        k=tuple((axis, kernel.axes[axis]) for axis in kernel.axes_of("k")),
        rows=rows,
        columns=cut(-(-form.n[-1].size // WIDTH), schedule.get("vectors", 2)),
        steps=min(group, form.k_size) if group else form.k_size,
        packed=form.span is None and (bool(schedule.get("pack", 1)) or not readable(form)),
        ahead=schedule.get("ahead", 0),
        flat=flat,
        through=bool(schedule.get("through", 1)),
        late=schedule.get("through", 1) == 2 and form.plain and rows.even,
        slab=min(slab, rows.parts * (1 if flat else size(form.m[:-1]))),
        across=bool(schedule.get("across", 0)) and not slab and not 0 < group < form.k_size,
    )
