"""One backward sweep: cotangents of some nodes in, cotangents of others out.

Takes: nodes with their cotangents (roots), and the nodes wanted. Promises: contributions to a node are added in
the order of its users, users in the program order of the roots, operands of one user from the left, roots last;
only what depends on a wanted node is visited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from jobspec.ir.origin import inherit
from jobspec.ir.program import Node, order
from jobspec.passes.gradients.loops import backward
from jobspec.passes.gradients.products import total
from jobspec.passes.gradients.rules import RULES
from jobspec.passes.gradients.sweep import Root, Sweep, varying

#: (number of the user in program order, number of its operand)
Place = tuple[int, int]


class Ledger:
    """Contributions to the cotangents of `visited` nodes, each with its place; others are dropped."""

    def __init__(self, visited: Collection[Node]) -> None:
        self._visited = visited
        self._open: dict[Node, list[tuple[Place, Node]]] = {}
        self._results: dict[Node, dict[int, Node]] = {}

    def add(self, node: Node, place: Place, cotangent: Node | None) -> None:
        if cotangent is not None and node in self._visited:
            self._open.setdefault(node, []).append((place, cotangent))

    def close(self, node: Node) -> Node | None:
        """The sum of all contributions, by place; None where there are none."""
        entries = sorted(self._open.pop(node, []), key=lambda entry: entry[0])
        return total([cotangent for _, cotangent in entries]) if entries else None

    def add_result(self, get: Node, cotangent: Node) -> None:
        """The cotangent of one result of a loop."""
        self._results.setdefault(get.args[0], {})[get["index"]] = cotangent

    def results(self, loop: Node) -> dict[int, Node]:
        return self._results.pop(loop, {})


def pull(roots: Sequence[Root], wanted: Sequence[Node]) -> Sweep:
    """Cotangents of `wanted`, given those of the roots."""
    nodes = order(node for node, _ in roots)
    visited = varying(nodes, wanted)
    ledger, sweep, aims = Ledger(visited), Sweep(), set(wanted)
    for i, (node, cotangent) in enumerate(roots):
        ledger.add(node, (len(nodes), i), cotangent)
    for number in reversed(range(len(nodes))):
        node = nodes[number]
        if node in visited:
            for i, share in enumerate(through(node, ledger, sweep, aims, visited)):
                ledger.add(node.args[i], (number, i), share)
                if share is not None:
                    inherit(share, node)
    return sweep


def through(
    node: Node, ledger: Ledger, sweep: Sweep, aims: Collection[Node], visited: Collection[Node]
) -> Iterable[Node | None]:
    """The cotangents of the operands of `node`; what it owes the sweep is entered there."""
    if node.op == "loop":
        way_back = backward(node, ledger.results(node), [a in visited for a in node.args], pull)
        sweep.extended[node] = way_back.extended
        return way_back.cotangents
    cotangent = ledger.close(node)
    if cotangent is None:
        return ()
    inherit(cotangent, node)
    if node in aims:
        sweep.cotangents[node] = cotangent
    if node.op == "get":
        ledger.add_result(node, cotangent)
        return ()
    rule = RULES[node.op]
    return rule(node, cotangent) if rule else ()
