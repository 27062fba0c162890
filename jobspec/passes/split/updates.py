"""What is made of the totals, shared out: each share has its own parameters, and what their optimizer keeps for them.

Takes: nodes that are wanted, nodes that are known. Promises: shares that need nothing of each other but single numbers
(a norm over all gradients, which `clip` scales by); a share reads and writes its own tensors alone. The numbers split a
share's work into levels: what they are made of comes first.

    heavy     depends on a known tensor
    measure   a single number that is read off heavy nodes
    light     anything else: cheap, so that each share computes it again
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from jobspec.ir.program import Node, order
from jobspec.ir.types import Type


@dataclass(frozen=True)
class Share:
    """What share number `share` makes at `level`, of what lower levels made."""

    level: int
    share: int
    nodes: tuple[Node, ...]


def shared_out(results: Iterable[Node], known: Collection[Node], count: int) -> tuple[list[Share], dict[Node, int]]:
    """Up to `count` shares of what is heavy among `results`, in an order in which each finds what it needs; and the
    share of each known tensor that they read."""
    wanted = list(results)
    weighed = Weighed(known)
    for node in reached(wanted, known):
        weighed.add(node)
    bins = weighed.bins(count)
    made: dict[tuple[int, int], dict[Node, None]] = {}
    for node in weighed.boundaries(wanted):
        made.setdefault((weighed.level[node], bins[weighed.group(node)]), {}).setdefault(node)
    shares = [Share(level, share, tuple(nodes)) for (level, share), nodes in sorted(made.items(), key=lambda x: x[0])]
    return shares, {node: bins[weighed.group(node)] for node in weighed.heavy if node in known}


def reached(nodes: Iterable[Node], known: Collection[Node]) -> list[Node]:
    """What `nodes` reach without going through what is known, that included; operands first."""
    found = set(below(nodes, known))
    return [node for node in order(found) if node in found]


def below(nodes: Iterable[Node], known: Collection[Node]) -> list[Node]:
    """The same in any order."""
    found: dict[Node, None] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack += () if node in known else node.args
    return list(found)


@dataclass
class Weighed:
    """Nodes as they are added, operands first. `level`: of each; `leads`: union of heavy nodes that belong together;
    `numbers`: single numbers that depend on heavy nodes; `measures`: those that read them."""

    known: Collection[Node]
    level: dict[Node, int] = field(default_factory=dict)
    heavy: dict[Node, None] = field(default_factory=dict)
    numbers: set[Node] = field(default_factory=set)
    measures: dict[Node, None] = field(default_factory=dict)
    leads: dict[Node, Node] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        operands = () if node in self.known else node.args
        reads = [a for a in operands if a in self.heavy]
        waits = max((self.level[a] + (a in self.numbers) for a in operands), default=0)
        self.level[node] = waits
        if is_tensor(node):
            if reads or (node in self.known and node.op != "const"):
                self.heavy.setdefault(node)
        elif reads:
            self.measures.setdefault(node)
            self.numbers.add(node)
        elif any(a in self.numbers for a in operands):
            self.numbers.add(node)
            self.level[node] = max(self.level[a] for a in operands)
        if node in self.heavy or node in self.measures:
            self.leads[node] = node
            for a in reads:
                self.leads[self.group(a)] = self.group(node)

    def group(self, node: Node) -> Node:
        """One node that stands for all that belong together with `node`."""
        while self.leads[node] is not node:
            self.leads[node] = self.leads[self.leads[node]]
            node = self.leads[node]
        return node

    def bins(self, count: int) -> dict[Node, int]:
        """Group → share: the heaviest first, to the share that has least."""
        weights: dict[Node, int] = {}
        for node in [*self.heavy, *self.measures]:
            size = node.type.nbytes if node in self.known else 0
            weights[self.group(node)] = weights.get(self.group(node), 0) + size
        loads, found = [0] * count, {}
        for group in sorted(weights, key=lambda g: -weights[g]):
            share = loads.index(min(loads))
            loads[share] += weights[group]
            found[group] = share
        return found

    def boundaries(self, wanted: Iterable[Node]) -> Iterable[Node]:
        """What one task makes for others: results, measures, what a later level of the same share reads."""
        yield from (node for node in wanted if node in self.heavy and node not in self.known)
        yield from self.measures
        for node in self.level:
            if node in self.known or (node not in self.heavy and node not in self.measures):
                continue
            yield from (a for a in node.args if self.is_made_before(a, self.level[node]))

    def is_made_before(self, node: Node, level: int) -> bool:
        """Heavy, and of a lower level. A loop and its results are of one level, so it is never a whole loop."""
        return node in self.heavy and node not in self.known and self.level[node] < level


def is_tensor(node: Node) -> bool:
    return not isinstance(node.result, Type) or node.shape != ()
