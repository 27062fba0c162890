"""What a step computes once the sums over the batch are known: clipping, optimizers, states that layers keep.

Takes: a visited region, and where the totals of its sums are. Promises: every whole node as it is computed outside of
the pieces, with totals for the sums that it reads; a loop that was cut leaves a loop of what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from jobspec.ir import regions
from jobspec.ir.program import Node, order, rebuild
from jobspec.ir.regions import Loop, body_input, parts
from jobspec.lang.cutting import CutLoop, Part, Region, Whole


class Later:
    """Nodes of `region` outside of the pieces; `total`: image of a sum → its value over the whole batch."""

    def __init__(self, region: Region, total: Callable[[Node], Node]) -> None:
        self.region, self.total = region, total
        self.known: dict[Node, Node] = {}
        self.left: dict[Node, tuple[Node, dict[int, int]]] = {}

    def values(self, roots: Iterable[Node]) -> list[Node]:
        wanted = list(roots)
        for node in order(wanted):
            if node not in self.known and self.is_needed(node):
                self.known[node] = self.value(node)
        return [self.known[node] for node in wanted]

    def is_needed(self, node: Node) -> bool:
        """Whole, but not a loop that was cut; or a sum that somebody waits for."""
        kind = self.region.kinds[node]
        if isinstance(kind, Part):
            return node in self.region.waited
        return isinstance(kind, Whole) and node not in self.region.loops

    def value(self, node: Node) -> Node:
        if isinstance(self.region.kinds[node], Part):
            return self.total(self.region.images[node])
        source = self.region.loops.get(node.args[0]) if node.op == "get" else None
        if source is None:
            return rebuild(node, tuple(self.known[a] for a in node.args))
        if node.args[0] not in self.left:
            self.left[node.args[0]] = remainder(self, node.args[0], source)
        loop, numbers = self.left[node.args[0]]
        return regions.get(loop, numbers[node["index"]])


def remainder(later: Later, node: Node, source: CutLoop) -> tuple[Node, dict[int, int]]:
    """A loop of what is whole in the old one; and, by number of the old result, that of the new."""
    old, body = parts(node), source.region
    inputs = {image: body_input(f"total.{i}", image.type) for i, image in enumerate(source.totals)}
    inside = Later(body, inputs.__getitem__)
    whole = [isinstance(body.kinds[x], Whole) for x in (*old.state, *(out for _, out in old.stacked))]
    kept = [i for i, yes in enumerate(whole) if yes]
    carried = len(old.state)
    states = [i for i in kept if i < carried]
    outputs = (*old.step, *old.stacked)
    values = inside.values(outputs[i][1] for i in kept)
    named = [(outputs[i][0], x) for i, x in zip(kept, values, strict=True)]
    stacks = [later.total(regions.get(source.node, at)) for at in source.totals.values()]
    loop = Loop(
        count=old.count, reverse=old.reverse, turn=old.turn,
        inits=tuple(later.values(old.inits[i] for i in states)), state=tuple(old.state[i] for i in states),
        sliced=(), cuts=(), shared=(), common=(), step=tuple(named[: len(states)]), stacked=tuple(named[len(states) :]),
    )  # fmt: skip
    cuts = [(x, o) for x, o in zip(old.cuts, old.sliced, strict=True) if isinstance(body.kinds[x], Whole)]
    common = [(x, o) for x, o in zip(old.common, old.shared, strict=True) if isinstance(body.kinds[x], Whole)]
    loop = replace(
        loop,
        sliced=(*later.values(o for _, o in cuts), *stacks),
        cuts=(*(x for x, _ in cuts), *inputs.values()),
        shared=tuple(later.values(o for _, o in common)),
        common=tuple(x for x, _ in common),
    )
    return loop.node(), {i: new for new, i in enumerate(kept)}
