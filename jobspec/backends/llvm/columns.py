"""Native code of column kernels: sums down the columns of a matrix, and their like.

Takes: a kernel of kind columns. Promises: column order exactly: per kept point a chain per leaf of LEAF
elements, leaves folded by the adjacent tree. Vectors run along a kept axis, several side by side so
that chains hide each other's latency. Few columns of many leaves are shared out leaf by leaf
(split_columns.py).
"""

from __future__ import annotations

from jobspec.backends.llvm import split_columns
from jobspec.backends.llvm.column_folds import Shape, Strip, before, fold_leaves, opened_strip
from jobspec.backends.llvm.convention import Native
from jobspec.backends.llvm.evaluate import put, run_stores
from jobspec.backends.llvm.request import Layout, Request, cost, scratch_of, vector_axis
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF

#: vectors side by side at most; strips wanted before they are made wider
WIDEST, STRIPS = 4, 8
#: elements from which few strips are cut into leaves
LARGE = 32768


def generate(q: Request) -> Native:
    """The functions of a kernel with reductions over outer axes."""
    vector = vector_axis(q, q.kernel.axes_of("kept"))
    kept = tuple(i for i in q.kernel.axes_of("kept") if i != vector)
    nest = Nest(q.kernel, (kept, (vector,), tuple(q.kernel.axes_of("reduced"))), vector, 2)
    shape = Shape(q.size(vector), q.schedule.get("vectors", widest(nest.size(0), q.size(vector))))
    strips, size = nest.size(0) * shape.strips, nest.size(2)
    if strips < STRIPS and size > LEAF and size * nest.size(0) * q.size(vector) >= LARGE:
        return split_columns.generate(q, nest, shape)
    scratch = Layout()

    def task(entry: Scope, number: Value) -> None:
        *at, strip = digits(entry.f, number, [*(q.size(i) for i in kept), shape.strips])
        scope = entry.enter(kept, at)
        shape.each(entry.f, strip, lambda last: whole(opened_strip(scope, shape, strip, last), size, scratch))

    weight = cost(q.kernel, nest.live) * size * shape.vectors
    phase = q.phase(nest, "", strips, weight, nest.live, task)
    return Native((phase,), private=scratch.size)


def widest(outer: int, columns: int) -> int:
    """Vectors per strip: as many as leave STRIPS strips to share out."""
    vectors = -(-columns // WIDTH)
    chosen = WIDEST
    while chosen > 1 and outer * -(-vectors // chosen) < STRIPS and chosen > min(2, vectors):
        chosen //= 2
    return min(chosen, vectors)


def whole(strip: Strip, size: int, scratch: Layout) -> None:
    """All passes over one strip."""
    nest = strip.nest
    for number in range(nest.last + 1):
        before(strip, [i for i in nest.live if nest.passes[i] == number])
        results = fold_leaves(strip, number, size, lambda n: scratch_of(strip.base.f, scratch, n))
        after(strip, nest.stores(number, False))
        for i, values in results.items():
            for here, value in zip(strip.lanes, values, strict=True):
                put(here, i, value)


def after(strip: Strip, stores: list[int]) -> None:
    """Stores per column, and those per outer position."""
    nest = strip.nest
    for v, here in enumerate(strip.lanes):
        run_stores([here], [i for i in stores if v == 0 or nest.depths[i] == 2])
