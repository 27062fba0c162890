"""What a value takes from memory or from other groups: what lies below its movements and virtual nodes.

Takes: which nodes are virtual (computed again by each reader) and which movements are copied into memory. Promises:
the same answers however often one asks, each found once; answers are in the order in which a walk meets them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from jobspec.ir.program import Node
from jobspec.passes.views import MOVES, Strided, dense, moved

SOURCES = frozenset({"input", "const", "iota"})


def is_computed(node: Node) -> bool:
    return node.op not in MOVES and node.op not in SOURCES and node.op != "get"


def chain_of(node: Node, copied: frozenset[Node] = frozenset()) -> tuple[Node, list[Node]]:
    """The first node below `node` that is no movement or is `copied`, and the movements from it upwards."""
    moves: list[Node] = []
    while node.op in MOVES and node not in copied:
        moves.append(node)
        node = node.args[0]
    return node, moves[::-1]


class Reads:
    """Answers for one choice of `virtual` (with costs) and `copied`, neither of which changes while it is in use."""

    def __init__(self, virtual: Mapping[Node, int], copied: frozenset[Node]) -> None:
        self.virtual, self.copied = virtual, copied
        self._of: dict[Node, tuple[Node, ...]] = {}
        self._bases: dict[Node, tuple[Node, ...]] = {}
        #: what no choice of virtual nodes changes: below which node a movement lies, and how
        self._under: dict[Node, Node] = {}
        self._views: dict[Node, Strided] = {}

    def with_virtual(self, more: Mapping[Node, int]) -> Reads:
        """Answers for the same choice with `more` virtual nodes; those that have nothing to do with them are known."""
        other = Reads({**self.virtual, **more}, self.copied)
        other._under, other._views = self._under, self._views
        stale = set(more)
        for node, below in self._under.items():
            if below in more:
                stale.update(self._of.get(node, ()))
        other._of = {node: found for node, found in self._of.items() if stale.isdisjoint(found)}
        other._bases = {node: found for node, found in self._bases.items() if stale.isdisjoint(found)}
        return other

    def bases(self, node: Node) -> tuple[Node, ...]:
        """Nodes in memory or in groups that `node` reads, through movements and virtual nodes."""
        found = self._bases.get(node)
        if found is None:
            found = self._bases[node] = self.of_all(node.args)
        return found

    def of(self, node: Node) -> tuple[Node, ...]:
        """What reading `node` takes: bases of views, and loops for their results."""
        found = self._of.get(node)
        if found is None:
            found = self._of[node] = self._found(node)
        return found

    def _found(self, node: Node) -> tuple[Node, ...]:
        moves = node.op in MOVES and node not in self.copied
        below = node
        if moves:
            below = self._under[node] = chain_of(node, self.copied)[0]
        if below in self.virtual and below not in self.copied:
            return self.of_all(below.args)
        base = self.view(node).base if moves else node
        return (base.args[0] if base.op == "get" else base,)

    def of_all(self, nodes: Collection[Node]) -> tuple[Node, ...]:
        """What reading all of `nodes` takes, each once."""
        return tuple(dict.fromkeys(base for node in nodes for base in self.of(node)))

    def below(self, node: Node) -> tuple[Node, ...]:
        """What a group reads that makes `node`, which is copied, in memory."""
        if is_computed(node) and node not in self.virtual:
            return self.of_all(node.args)
        return Reads(self.virtual, self.copied - {node}).of(node)

    def view(self, node: Node) -> Strided:
        """How `node` lies in the memory of its base (views.trace)."""
        found = self._views.get(node)
        if found is None:
            still = node.op not in MOVES or node in self.copied
            found = self._views[node] = dense(node) if still else moved(self.view(node.args[0]), node)
        return found
