"""What a backward sweep takes and finds, and which nodes it has to visit.

Takes: nodes in program order. Promises: `varying` are the nodes through which a change of a wanted node
reaches others as a change of a float; integers, conditions, roundings and `stop` pass none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from jobspec.ir.program import Node

Root = tuple[Node, Node]
BLOCKING = frozenset({"stop", "floor", "rint", "bitcast"})


@dataclass
class Sweep:
    """Cotangents of the wanted nodes (a missing one is zero), and for each loop that the sweep went through, the
    loop that also stacks what the way back reads."""

    cotangents: dict[Node, Node] = field(default_factory=dict)
    extended: dict[Node, Node] = field(default_factory=dict)


#: roots with their cotangents, nodes wanted
Pull = Callable[[Sequence[Root], Sequence[Node]], Sweep]


def varying(nodes: Iterable[Node], wanted: Collection[Node]) -> set[Node]:
    """Those of `nodes` (operands before users) that a sweep for `wanted` visits."""
    found: set[Node] = set(wanted)
    for node in nodes:
        if passes_on(node) and any(a in found for a in node.args):
            found.add(node)
    return found


def passes_on(node: Node) -> bool:
    floating = isinstance(node.result, tuple) or node.dtype == "f32"
    return floating and node.op not in BLOCKING
