"""Native code of scatter kernels: sums into rows that an index picks (the gradient of an embedding).

Takes: a kernel of kind scatter. Promises: every element of the target takes its contributions in ascending
place, without atomics: a task owns some columns of the target for all places, and where columns are few
also a range of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.access import picked
from jobspec.backends.llvm.column_folds import Shape, Strip, before, opened_strip
from jobspec.backends.llvm.columns import widest
from jobspec.backends.llvm.convention import Native
from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.evaluate import get, run
from jobspec.backends.llvm.request import Request, cost, vector_axis
from jobspec.backends.llvm.scope import Scope, digits
from jobspec.backends.llvm.values import Value, integer
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import Inst

#: with fewer strips of columns than this, rows are shared out too, in so many ranges
STRIPS, RANGES = 4, 8


@dataclass(frozen=True)
class Owner:
    """What a task owns: `first`, `last` + 1 of the target's rows as i32, or all of them."""

    rows: tuple[Value, Value] | None


def generate(q: Request) -> Native:
    """The function of a kernel with one accumulate."""
    vector = vector_axis(q, q.kernel.axes_of("rest"))
    rest = tuple(i for i in q.kernel.axes_of("rest") if i != vector)
    nest = Nest(q.kernel, (rest, (vector,), tuple(q.kernel.axes_of("place"))), vector, 2)
    (number,) = (i for i, inst in enumerate(q.kernel.body) if inst.op == "accumulate")
    shape = Shape(q.size(vector), widest(nest.size(0), q.size(vector)))
    bound = q.kernel.body[number]["bound"]
    ranges = min(RANGES, bound) if nest.size(0) * shape.strips < STRIPS else 1

    def task(entry: Scope, at: Value) -> None:
        *outer, strip, part = digits(entry.f, at, [*(q.size(i) for i in rest), shape.strips, ranges])
        scope = entry.enter(rest, outer)
        owner = owned(scope, part, -(-bound // ranges)) if ranges > 1 else Owner(None)
        shape.each(entry.f, strip, lambda last: places(opened_strip(scope, shape, strip, last), number, owner))

    weight = cost(q.kernel, nest.live) * nest.size(2) * shape.vectors
    return Native((q.phase(nest, "", nest.size(0) * shape.strips * ranges, weight, nest.live, task),))


def owned(scope: Scope, part: Int, rows: int) -> Owner:
    """Range `part` of the target's rows, `rows` to a range."""
    f = scope.f
    first = f.convert("trunc", f.imul(part, rows), "i32")
    return Owner((first, f.iadd(first, integer("i32", rows))))


def places(strip: Strip, number: int, owner: Owner) -> None:
    """All places in turn, for one strip of columns."""
    nest, inst = strip.nest, strip.nest.kernel.body[number]
    before(strip, nest.live)
    inner = strip.base.only(nest.views(nest.live))
    axes = nest.groups[2]

    def place(at: Value) -> None:
        here = inner.enter(axes, digits(here_f, at, [nest.kernel.axes[a].size for a in axes]))
        run(here, 3, [i for i in nest.live if not nest.wide[i]])
        index = get(here, inst.args[1], False)
        moved = picked(here, inst, index)
        if owner.rows is None:
            add_all(strip, here, inst, moved)
        else:
            here_f.when(owns(here, inst, index, owner.rows), lambda: add_all(strip, here, inst, moved))

    here_f = inner.f
    here_f.loop(0, nest.size(2), 1, place)


def owns(here: Scope, inst: Inst, index: Value, rows: tuple[Value, Value]) -> Value:
    """Whether the row that `index` picks is in range; one out of bounds picks row 0."""
    f = here.f
    row = f.select(f.icmp("ult", index, integer("i32", inst["bound"])), index, integer("i32", 0))
    return f.and_(f.icmp("sge", row, rows[0]), f.icmp("slt", row, rows[1]))


def add_all(strip: Strip, place: Scope, inst: Inst, moved: Value) -> None:
    """The contribution of one place to every vector of the strip."""
    nest = strip.nest
    for v, lane in enumerate(strip.lanes):
        here = place.lanes(v, lane.mask).beside(lane)
        run(here, 3, nest.live)
        add(here, inst, moved)


def add(here: Scope, inst: Inst, moved: Value) -> None:
    f, view = here.f, inst["view"]
    wide = here.nest.wide[here.nest.kernel.body.index(inst)]
    pointer = f.offset(here.pointers[view], moved)
    x = get(here, inst.args[0], wide)
    if here.mask is None or not wide:
        f.store(f.fadd(f.load(x.type, pointer), x), pointer)
    else:
        f.masked_store(f.fadd(f.masked_load(x.type, pointer, here.mask), x), pointer, here.mask)
