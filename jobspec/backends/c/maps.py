"""C code of kernels that fold nothing: one work-item per element, or per `lanes` or `each` neighbours of the last axis.

Takes: a kernel of kind rows, columns or fill without reductions, and its schedule. Promises: one launch; neighbouring
work-items differ in the last axis, so that they touch neighbouring memory. `lanes` are computed in vectors, `each` one
by one, where only memory is reached by vectors.
"""

from __future__ import annotations

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import Scope, digits
from jobspec.backends.c.several import dividing, several
from jobspec.backends.c.wide import neighbours
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest


def render(q: Request, writer: Writer) -> list[Launch]:
    axes = tuple(range(len(q.kernel.axes)))
    nest = Nest(q.kernel, (axes,), -1, 1)
    stores = [i for i, inst in enumerate(q.kernel.body) if inst.op == "store"]
    live = nest.needed(stores)
    lanes, last = q.schedule.get("lanes", 1), q.size(axes[-1])
    each = dividing(last, q.schedule.get("each", 1))
    sizes = [*(q.size(a) for a in axes[:-1]), -(-last // (lanes * each))]
    with q.function(writer, q.name, nest, live) as top:
        tasks = nest.size(0) // last * sizes[-1]
        task, groups, items = spread(writer, q.index, tasks)
        *at, vector = digits(writer, q.index, task, sizes)
        outer = top.enter(axes[:-1], at)
        if lanes == 1:
            first = writer.let(q.index, f"{vector} * {each}", "first") if each > 1 else vector
            ended(several(outer, axes[-1], each, first), live, stores)
        else:
            first = writer.let(q.index, f"{vector} * {lanes}", "first")
            neighbours(outer, axes[-1], lanes, first, lambda here: ended(here, live, stores))
    return [Launch(q.name, groups, items, q.turns)]


def ended(here: Scope, live: frozenset[int], stores: list[int]) -> None:
    here.run(live)
    here.store(stores)
