"""The grouping of a region: which nodes are computed together, which by every reader, which are copied.

Takes: the nodes of a region and what it must write. Promises: a grouping in which nothing is left to sink. Sinking
changes what groups read, so they are made anew after it: values that have nothing to do with each other are
sunk together, and the rounds are few, however large the region.
"""

from __future__ import annotations

from collections.abc import Collection

from jobspec.ir.program import Node
from jobspec.passes.groups import PRODUCTS, Grouping, choose_virtual, find_copies, operands_of
from jobspec.passes.reads import chain_of, is_computed
from jobspec.passes.sink import find_sunk


def fuse(nodes: list[Node], roots: list[Node], given: Collection[Node], asked: frozenset[Node]) -> Grouping:
    """Groups for `nodes`, operands first. `roots`: what is written; `given`: inputs, which lie in memory; `asked`:
    nodes to copy into memory."""
    kept, lying = must_lie(nodes)
    kept |= {n for n in roots if n not in given}
    virtual = choose_virtual(nodes, roots, kept)
    asked |= {n for n in lying if chain_of(n)[0] in virtual or chain_of(n)[1]}
    operands = [*operands_of(nodes), *roots]
    grouping = grouped(nodes, operands, virtual, asked)
    while sunk := find_sunk(grouping, nodes, operands, kept):
        virtual = {**virtual, **sunk}
        grouping = grouped(nodes, operands, virtual, asked)
    return grouping


def grouped(nodes: list[Node], operands: list[Node], virtual: dict[Node, int], asked: frozenset[Node]) -> Grouping:
    """Every node that is computed or copied in a group."""
    grouping = Grouping(virtual, find_copies(operands, virtual, asked))
    for node in nodes:
        if node in grouping.copied:
            grouping.copy(node)
        elif is_computed(node) and node not in virtual:
            grouping.add(node)
    return grouping


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
