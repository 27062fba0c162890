"""Values that are cheaper to compute again than to write and read: sunk into their readers.

Takes: a finished grouping. Promises: names elementwise values that lie in memory only because another group
reads them, that cost a few instructions to compute from values which lie there anyway, and that every
reader can reach; made virtual, they are recomputed by each reader, with the same bits.
"""

from __future__ import annotations

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.passes.groups import VIRTUAL_COST, VIRTUAL_LOADS, Group, Grouping, operands_of, unreachable, weight
from jobspec.passes.reads import chain_of

MANY_READERS = 3


def find_sunk(grouping: Grouping, nodes: list[Node], roots: list[Node], kept: set[Node]) -> dict[Node, int]:
    """Values to make virtual next, with their costs; empty when nothing is left to sink."""
    readers = find_readers(grouping, nodes)
    operands = [*operands_of(nodes), *roots]
    found: dict[Node, int] = {}
    for node in nodes:
        if node in readers and node not in kept and node not in grouping.copied:
            cost = sunk_cost(grouping, node, readers)
            if cost is not None and reachable(grouping, node, operands, found):
                found[node] = cost
                return found
    return found


def find_readers(grouping: Grouping, nodes: list[Node]) -> dict[Node, set[Group]]:
    """For each value that crosses from one group to others, the others."""
    readers: dict[Node, set[Group]] = {}
    for node in nodes:
        group = grouping.home.get(node)
        for base in grouping.bases(node) if group is not None else ():
            if base in grouping.home and grouping.home[base] is not group:
                assert group is not None
                readers.setdefault(base, set()).add(group)
    return readers


def sunk_cost(grouping: Grouping, node: Node, readers: dict[Node, set[Group]]) -> int | None:
    """What recomputing `node` costs each reader; None where storing it is better."""
    row = OPS[node.op]
    if not row.has("elementwise") or node.shape != grouping.home[node].domain or len(readers[node]) > MANY_READERS:
        return None
    below = [chain_of(a, grouping.copied)[0] for a in node.args]
    cost = weight(node) + sum(grouping.virtual.get(b, 0) for b in below)
    large = [b for b in grouping.bases(node) if b.op != "loop" and b.type.size >= node.type.size]
    fresh = [b for b in large if b in grouping.home and b not in readers]
    fits = cost <= VIRTUAL_COST and len(large) <= VIRTUAL_LOADS and len(fresh) <= 1
    return cost if fits else None


def reachable(grouping: Grouping, node: Node, operands: list[Node], found: dict[Node, int]) -> bool:
    virtual = {**grouping.virtual, **found, node: 0}
    reads = [a for a in operands if chain_of(a, grouping.copied)[0] is node]
    return not any(unreachable(a, [], virtual) for a in reads)
