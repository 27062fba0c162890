"""Values that are cheaper to compute again than to write and read: sunk into their readers.

Takes: a finished grouping. Promises: names elementwise values that lie in memory only because another group
reads them, that cost a few instructions to compute from values which lie there anyway, and that every
reader can reach; made virtual, they are recomputed by each reader, with the same bits. Those named together are
strangers: none reads or is read by what another reads or is read by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.passes.groups import VIRTUAL_COST, VIRTUAL_LOADS, Group, Grouping, unreachable, weight
from jobspec.passes.reads import chain_of

MANY_READERS = 3
#: elements for each of which what is computed once for all of them costs next to nothing
VECTOR = 16


def find_sunk(
    grouping: Grouping, nodes: list[Node], seen: Mapping[Node, list[Node]], kept: set[Node]
) -> dict[Node, int]:
    """Values to make virtual next, with their costs; empty when nothing is left to sink. `seen`: as what nodes are
    read."""
    users = find_users(grouping, nodes)
    readers = find_readers(grouping, users)
    found: dict[Node, int] = {}
    touched: set[Node] = set()
    for node in nodes:
        if node not in readers or node in kept or node in grouping.copied:
            continue
        near = {node, *users[node], *(b for b in grouping.reads.bases(node) if b in grouping.home)}
        cost = sunk_cost(grouping, node, readers) if near.isdisjoint(touched) else None
        if cost is not None and reachable({**grouping.virtual, **found, node: cost}, seen.get(node, [])):
            found[node] = cost
            touched |= near
    return found


def find_users(grouping: Grouping, nodes: list[Node]) -> dict[Node, list[Node]]:
    """For each value that a group makes, the nodes in groups that take it."""
    users: dict[Node, list[Node]] = {}
    for node in nodes:
        for base in grouping.reads.bases(node) if node in grouping.home else ():
            if base in grouping.home:
                users.setdefault(base, []).append(node)
    return users


def find_readers(grouping: Grouping, users: dict[Node, list[Node]]) -> dict[Node, set[Group]]:
    """For each value that crosses from one group to others, the others."""
    found = {n: {grouping.home[u] for u in by} - {grouping.home[n]} for n, by in users.items()}
    return {node: groups for node, groups in found.items() if groups}


def seen_as(operands: Iterable[Node], copied: frozenset[Node]) -> dict[Node, list[Node]]:
    """For each node the operands through which it is read."""
    seen: dict[Node, list[Node]] = {}
    for operand in operands:
        seen.setdefault(chain_of(operand, copied)[0], []).append(operand)
    return seen


def sunk_cost(grouping: Grouping, node: Node, readers: dict[Node, set[Group]]) -> int | None:
    """What recomputing `node` costs each reader; None where storing it is better."""
    row = OPS[node.op]
    if not row.has("elementwise") or node.shape != grouping.home[node].domain or len(readers[node]) > MANY_READERS:
        return None
    below = [chain_of(a, grouping.copied)[0] for a in node.args]
    cost = weight(node) + sum(grouping.virtual.get(b, 0) for b in below if b.type.size * VECTOR > node.type.size)
    large = [b for b in grouping.reads.bases(node) if b.op != "loop" and b.type.size >= node.type.size]
    fresh = [b for b in large if b in grouping.home and b not in readers]
    fits = cost <= VIRTUAL_COST and len(large) <= VIRTUAL_LOADS and len(fresh) <= 1
    return cost if fits else None


def reachable(virtual: Mapping[Node, int], reads: list[Node]) -> bool:
    """Whether a node that is read as `reads` can be recomputed by all its readers."""
    return not any(unreachable(read, [], virtual) for read in reads)
