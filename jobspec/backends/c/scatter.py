"""C code of scatter kernels: sums into rows that an index picks (the gradient of an embedding).

Takes: a kernel of kind scatter, and its schedule: `parts` work-items share a position of the axes that are not
scattered, the rows of the target by turns. Promises: no atomics; each goes through all places in ascending order and
adds what goes to its own rows, so that one work-item alone adds to an element.
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
    parts = q.schedule.get("parts", 1)
    with q.function(writer, q.name, nest, live) as top:
        task, groups, items = spread(writer, q.index, nest.size(0) * parts)
        part, *at = digits(writer, q.index, task, [parts, *(q.size(a) for a in rest)])
        scope = top.enter(rest, at)
        scope.run(i for i in live if nest.depths[i] <= 1)
        with writer.count(q.index, nest.size(1), "place") as step:
            here = scope.enter_number(place, step)
            here.run(nest.needed([inst.args[1]], here.values))
            view = inst["view"]
            further = writer.let(q.index, here.picked(inst, here.values[inst.args[1]]), "row")
            if parts > 1:
                writer.line(f"if ({further} / {inst['pick']} % {parts} != {part}) continue;")
            here.run(live)
            element = f"{here.site.pointer(view)}[{here.element(view)} + {further}]"
            writer.line(f"{element} = f_link({element}, {here.values[inst.args[0]].text});")
    return [Launch(q.name, groups, items, q.turns)]
