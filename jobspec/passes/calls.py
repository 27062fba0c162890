"""From a group to the calls that compute it.

Takes: a group of a finished grouping, what it stores where, and where everything else lies. Promises: kernels in
the workshop, and the calls that run them, in order. Raises NeedsCopy (lower.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Call
from jobspec.ir.program import Node
from jobspec.ir.types import row_major
from jobspec.passes.groups import Group, Grouping
from jobspec.passes.lower import Location, Store, lower
from jobspec.passes.views import Strided, dense, tidy
from jobspec.passes.workshop import Workshop

Locate = Callable[[Node], Location]


@dataclass(frozen=True)
class Caller:
    """`locate`: where a node lies for all groups but the one that makes it."""

    shop: Workshop
    grouping: Grouping
    locate: Locate

    def calls(self, group: Group, stores: list[Store], seen: Locate, woven: Collection[Node] = ()) -> list[Call]:
        """What computes a group that is no loop; `seen`: where nodes lie for it; `woven`: parts of a pad or concat that
        others write."""
        if not stores:
            return []
        if group.nodes and group.nodes[0].op in ("pad", "concat"):
            return self._place_parts(group.nodes[0], stores, woven)
        fills = [self._fill(s.target, dense(s.value), 0) for s in stores] if group.kind == "scatter" else []
        return [*fills, self._kernel(group, stores, seen)]

    def _kernel(self, group: Group, stores: list[Store], seen: Locate) -> Call:
        return self.shop.call(lower(group, self.grouping, stores, seen, self.shop.flag))

    def _place_parts(self, node: Node, stores: list[Store], woven: Collection[Node]) -> list[Call]:
        """A pad or concat: fill what stays constant, then copy each operand to its place."""
        calls: list[Call] = []
        for store in stores:
            left = [(part, walk) for part, walk in parts(node) if part not in woven]
            calls += self.margins(node, store.target) if left else []
            for part, walk in left:
                group = Group(-1, "copy", part.shape)
                calls.append(self._kernel(group, [Store(part, store.target, walk, store.flag)], self.locate))
        return calls

    def margins(self, node: Node, target: Location) -> list[Call]:
        """What a pad has around its operand, and between its elements; nothing for others."""
        if node.op != "pad":
            return []
        around = [dense(node)] if any(node["inner"]) else margins(node)
        return [self._fill(target, place, node["bits"]) for place in around]

    def _fill(self, target: Location, place: Strided, bits: int) -> Call:
        digits = tidy(tuple(digit for axis in place.axes for digit in axis)) or ((1, 1),)
        view = View(target.buffer, target.offset + place.offset, tuple(step for _, step in digits), target.turns)
        body = (
            Inst("const", (), place.base.dtype, (("bits", bits),)),
            Inst("store", (0,), place.base.dtype, (("flag", -1), ("view", view))),
        )
        return self.shop.call(Kernel("fill", "fill", tuple(Axis(size, "outer") for size, _ in digits), body))


def margins(node: Node) -> list[Strided]:
    """What a pad has before and behind its operand along each axis, each element once; both as one where they are
    equally wide."""
    found: list[Strided] = []
    strides, inside = row_major(node.shape), node.args[0].shape
    sizes, start = list(node.shape), 0
    for i, (low, high) in enumerate(zip(node["low"], node["high"], strict=True)):
        behind = low + inside[i]
        for first, size, times in ((0, low, 2),) if low == high else ((0, low, 1), (behind, high, 1)):
            cut = [*zip(sizes[:i], strides[:i], strict=True), (times, behind * strides[i]), (size, strides[i])]
            digits = tidy((*cut, *zip(sizes[i + 1 :], strides[i + 1 :], strict=True)))
            found += [Strided(node, start + first * strides[i], (digits,))] if size else []
        start, sizes[i] = start + low * strides[i], inside[i]
    return found


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
