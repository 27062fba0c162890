"""Native code of kernels that fold nothing: maps, copies, fills.

Takes: a kernel of kind rows without reductions, or fill. Promises: one phase; a task is one run along the
vector axis, or a CHUNK of it where the axis is long. The vector axis is the one that costs the
fewest strided accesses and idle lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from jobspec.backends.llvm.convention import Native, Order
from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.evaluate import run, run_stores
from jobspec.backends.llvm.request import Request, cost, vector_axis
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.strips import vectors
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Cut

CHUNK = 4096
#: elements that are made side by side
ABREAST = 4 * WIDTH


def generate(q: Request) -> Native:
    """The function of a kernel whose every inst stands by itself."""
    vector = vector_axis(q, range(len(q.kernel.axes)))
    outer = tuple(i for i in range(len(q.kernel.axes)) if i != vector)
    nest = Nest(q.kernel, (outer, (vector,)), vector, 2)
    live = nest.needed(nest.stores(0, False))
    size = q.size(vector)
    per_task = CHUNK if size >= 2 * CHUNK else size
    pieces = -(-size // per_task)
    sizes = [*(q.size(i) for i in outer), pieces]

    def task(entry: Scope, number: Value) -> None:
        *at, piece = digits(entry.f, number, sizes)
        scope = entry.enter(outer, at)
        run(scope, 1, live)
        inner = scope.only(nest.views(nest.inner(live)))
        if pieces > 1:
            chunk(inner, entry.f.imul(piece, CHUNK), size, live)
        else:
            whole(inner, size, live)
        run_stores([scope], at_depth(nest, 1))

    tasks = nest.size(0) * pieces
    weight = cost(q.kernel, live) * -(-per_task // WIDTH)
    order = order_of(q, nest, Cut(size, pieces, CHUNK, pieces) if pieces > 1 else None)
    return Native((replace(q.phase(nest, "", tasks, weight, live, task), order=order),))


def order_of(q: Request, nest: Nest, pieces: Cut | None) -> Order:
    """Tasks go through the outer axes, and the pieces of the vector axis."""
    loops = tuple((q.size(axis), axis) for group in nest.groups for axis in group)
    return Order(loops, len(loops) if pieces else len(loops) - 1, pieces)


def at_depth(nest: Nest, depth: int) -> list[int]:
    """Stores that happen once per turn of the loops at `depth`."""
    return [i for i in nest.stores(0, False) if max(1, nest.depths[i]) == depth]


def visit(lanes: Sequence[Scope], live: frozenset[int]) -> None:
    """What happens at vectors side by side."""
    lanes[0].f.beside([partial(run, here, 2, live) for here in lanes])
    run_stores(lanes, at_depth(lanes[0].nest, 2))


def whole(scope: Scope, size: int, live: frozenset[int]) -> None:
    """The whole vector axis."""
    even = size // ABREAST * ABREAST
    turns(scope, 0, even, live)
    if size % ABREAST:
        visit(vectors(scope, even, size % ABREAST), live)


def chunk(scope: Scope, start: Value, size: int, live: frozenset[int]) -> None:
    """The chunk that begins at `start`; the last one ends with the axis."""
    f, even = scope.f, size // ABREAST * ABREAST
    turns(scope, start, f.smin(f.iadd(start, CHUNK), even), live)
    if size % ABREAST:
        last = f.icmp("eq", start, (size - 1) // CHUNK * CHUNK)
        f.when(last, lambda: visit(vectors(scope, even, size % ABREAST), live))


def turns(scope: Scope, start: Int, stop: Int, live: frozenset[int]) -> None:
    """As many whole vectors at a time as go side by side."""
    scope.f.loop(start, stop, ABREAST, lambda i: visit(vectors(scope, i, ABREAST), live))
