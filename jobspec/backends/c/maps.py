"""C code of kernels that fold nothing: one work-item per element.

Takes: a kernel of kind rows, columns or fill without reductions. Promises: one launch; neighbouring
work-items differ in the last axis, so that they touch neighbouring memory.
"""

from __future__ import annotations

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import digits
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest


def render(q: Request, writer: Writer) -> list[Launch]:
    axes = tuple(range(len(q.kernel.axes)))
    nest = Nest(q.kernel, (axes,), -1, 1)
    stores = [i for i, inst in enumerate(q.kernel.body) if inst.op == "store"]
    live = nest.needed(stores)
    with q.function(writer, q.name, nest, live) as top:
        task, groups, items = spread(writer, q.index, nest.size(0))
        scope = top.enter(axes, digits(writer, q.index, task, [q.size(a) for a in axes]))
        scope.run(live)
        scope.store(stores)
    return [Launch(q.name, groups, items, q.turns)]
