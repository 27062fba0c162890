"""From a group to the calls that compute it.

Takes: a group of a finished grouping, what it stores where, and where everything else lies. Promises: kernels in
the workshop, and the calls that run them, in order. Raises NeedsCopy (lower.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Call
from jobspec.ir.program import Node
from jobspec.ir.types import Type, row_major
from jobspec.passes.groups import Group, Grouping
from jobspec.passes.lower import Location, Store, lower
from jobspec.passes.views import Strided, tidy
from jobspec.passes.workshop import Workshop

Locate = Callable[[Node], Location]


@dataclass(frozen=True)
class Caller:
    """`locate`: where a node lies for all groups but the one that makes it."""

    shop: Workshop
    grouping: Grouping
    locate: Locate

    def calls(self, group: Group, stores: list[Store], seen: Locate) -> list[Call]:
        """What computes a group that is no loop; `seen`: where nodes lie for it."""
        if not stores:
            return []
        if group.nodes and group.nodes[0].op in ("pad", "concat"):
            return self._place_parts(group.nodes[0], stores)
        fills = [self._fill(s.target, s.value.type, 0) for s in stores] if group.kind == "scatter" else []
        return [*fills, self._kernel(group, stores, seen)]

    def _kernel(self, group: Group, stores: list[Store], seen: Locate) -> Call:
        return self.shop.call(lower(group, self.grouping, stores, seen, self.shop.flag))

    def _place_parts(self, node: Node, stores: list[Store]) -> list[Call]:
        """A pad or concat: fill what stays constant, then copy each operand to its place."""
        calls: list[Call] = []
        for store in stores:
            if node.op == "pad":
                calls.append(self._fill(store.target, node.type, node["bits"]))
            for part, walk in parts(node):
                group = Group(-1, "copy", part.shape)
                calls.append(self._kernel(group, [Store(part, store.target, walk, store.flag)], self.locate))
        return calls

    def _fill(self, target: Location, type: Type, bits: int) -> Call:
        view = View(target.buffer, target.offset, (1,), target.turns)
        body = (
            Inst("const", (), type.dtype, (("bits", bits),)),
            Inst("store", (0,), type.dtype, (("flag", -1), ("view", view))),
        )
        return self.shop.call(Kernel("fill", "fill", (Axis(type.size, "outer"),), body))


def parts(node: Node) -> list[tuple[Node, Strided]]:
    """Each operand of a pad or concat with the place of its elements in the result."""
    strides = row_major(node.shape)
    if node.op == "pad":
        offset = sum(low * s for low, s in zip(node["low"], strides, strict=True))
        steps = [s * (inner + 1) for inner, s in zip(node["inner"], strides, strict=True)]
        return [(node.args[0], placed(node.args[0], offset, steps))]
    result, offset = [], 0
    for part in node.args:
        result.append((part, placed(part, offset, list(strides))))
        offset += part.shape[node["axis"]] * strides[node["axis"]]
    return result


def placed(part: Node, offset: int, strides: list[int]) -> Strided:
    return Strided(part, offset, tuple(tidy(((n, s),)) for n, s in zip(part.shape, strides, strict=True)))
