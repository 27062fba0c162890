"""C code of scatter kernels: sums into rows that an index picks (the gradient of an embedding).

Takes: a kernel of kind scatter. Promises: no atomics; a work-item owns one position of the axes that are not
scattered and goes through all places in ascending order.
"""

from __future__ import annotations

from jobspec.backends.c.request import Launch, Request, spread
from jobspec.backends.c.scope import digits
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest


def render(q: Request, writer: Writer) -> list[Launch]:
    rest, place = tuple(q.kernel.axes_of("rest")), tuple(q.kernel.axes_of("place"))
    nest = Nest(q.kernel, (rest, place), -1, 2)
    ((number, inst),) = ((i, inst) for i, inst in enumerate(q.kernel.body) if inst.op == "accumulate")
    live = nest.needed([number])
    with q.function(writer, q.name, nest, live) as top:
        task, groups, items = spread(writer, q.index, nest.size(0))
        scope = top.enter(rest, digits(writer, q.index, task, [q.size(a) for a in rest]))
        scope.run(i for i in live if nest.depths[i] <= 1)
        with writer.count(q.index, nest.size(1), "place") as at:
            here = scope.enter(place, digits(writer, q.index, at, [q.size(a) for a in place]))
            here.run(live)
            view, index = inst["view"], here.values[inst.args[1]]
            element = f"{here.site.pointer(view)}[{here.element(view)} + {here.picked(inst, index)}]"
            writer.line(f"{element} = f_link({element}, {here.values[inst.args[0]].text});")
    return [Launch(q.name, groups, items, q.turns)]
