"""The grouping of a region: which nodes are computed together, which by every reader, which are copied.

Takes: the nodes of a region and what it must write. Promises: a grouping in which nothing is left to sink. Sinking
changes what groups read, so they are made anew after it: values that have nothing to do with each other are
sunk together, and the rounds are few, however large the region.
"""

from __future__ import annotations

from collections.abc import Collection

from jobspec.ir.program import Node
from jobspec.passes.groups import PRODUCTS, Grouping, choose_virtual, find_copies, operands_of
from jobspec.passes.reads import Reads, chain_of, is_computed
from jobspec.passes.sink import find_sunk, seen_as

#: into how many stretches a region is cut from whose ends another grouping may go on; nodes of the shortest
MARKS, LEAST_STRIDE = 8, 32


def fuse(nodes: list[Node], roots: list[Node], given: Collection[Node], asked: frozenset[Node]) -> Grouping:
    """Groups for `nodes`, operands first. `roots`: what is written; `given`: inputs, which lie in memory; `asked`:
    nodes to copy into memory."""
    kept, lying = must_lie(nodes)
    kept |= {n for n in roots if n not in given}
    virtual = choose_virtual(nodes, roots, kept)
    asked |= {n for n in lying if chain_of(n)[0] in virtual or chain_of(n)[1]}
    operands = [*operands_of(nodes), *roots]
    grouper, asking = Grouper(nodes), Reads(virtual, asked)
    copied = find_copies(operands, asking)
    grouping, seen = grouper.grouped(Reads(virtual, copied)), seen_as(operands, copied)
    while sunk := find_sunk(grouping, nodes, seen, kept):
        asking = asking.with_virtual(sunk)
        if (copied := find_copies(operands, asking)) == grouping.copied:
            reads = grouping.reads.with_virtual(sunk)
        else:
            reads, seen = Reads(asking.virtual, copied), seen_as(operands, copied)
        grouping = grouper.regrouped(grouping, reads)
    return grouping


class Grouper:
    """Groupings of the same `nodes`, one after another: each begins where it first differs from the one before."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes, self._number = nodes, {node: i for i, node in enumerate(nodes)}
        self._stride = max(LEAST_STRIDE, len(nodes) // MARKS)
        #: how far the nodes are grouped, and the groupings of the present choice that had come so far
        self._marks: list[tuple[int, Grouping]] = []

    def grouped(self, reads: Reads) -> Grouping:
        """Every node that is computed or copied in a group."""
        return self._filled(Grouping(reads), 0, marked=False)

    def regrouped(self, before: Grouping, reads: Reads) -> Grouping:
        """The same for another choice than that of `before`, the last grouping that was made here."""
        changed = {n for n in reads.virtual if n not in before.virtual} | (reads.copied ^ before.copied)
        first = min(self._number[n] for n in changed)
        self._marks = [mark for mark in self._marks if mark[0] <= first]
        start, known = self._marks[-1] if self._marks else (0, Grouping(reads))
        return self._filled(known.branch(reads), start, marked=True)

    def _filled(self, grouping: Grouping, start: int, *, marked: bool) -> Grouping:
        for i in range(start, len(self.nodes)):
            if marked and i > start and i % self._stride == 0:
                self._marks.append((i, grouping.branch(grouping.reads)))
            place(self.nodes[i], grouping)
        return grouping


def place(node: Node, grouping: Grouping) -> None:
    """Give `node` the group it belongs to, if it is to have one."""
    if node in grouping.copied:
        grouping.copy(node)
    elif is_computed(node) and node not in grouping.virtual:
        grouping.add(node)


def must_lie(nodes: list[Node]) -> tuple[set[Node], list[Node]]:
    """(nodes that cannot be recomputed by readers, operands that must be dense in memory)."""
    kept: set[Node] = set()
    lying: list[Node] = []
    for node in nodes:
        if node.op in PRODUCTS or node.op in ("pad", "concat", "scatter_add"):
            kept |= {chain_of(a)[0] for a in (node.args[:1] if node.op == "scatter_add" else node.args)}
        if node.op in PRODUCTS:
            lying += [a for a in node.args if chain_of(a)[0].op in ("const", "iota")]
        if node.op == "gather":
            kept.add(chain_of(node.args[0])[0])
            lying += [a for a in node.args[:1] if chain_of(a)[0].op == "iota"]
        if node.op == "loop":
            kept |= {chain_of(a)[0] for a in node.args}
            lying += node.args[node["carried"] :]
    return kept, lying
