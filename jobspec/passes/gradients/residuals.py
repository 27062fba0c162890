"""What the way back through a loop reads of the way there: saved, or computed again.

Takes: the outputs of a backward body, written in terms of the forward body's nodes. Promises: `saved` lists the
forward values to be stacked. They are the carried values as each turn found them, and what differs from turn to
turn and is expensive or lies in memory anyway, as a contraction's operand; elementwise chains and movement in
between are computed again, and so is an operand whose stack would be large, if little else is kept for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node, order, rebuilt, users
from jobspec.ir.regions import Loop
from jobspec.passes.cost import expensive

#: bytes of a stack beyond which memory is worth more than the time of computing its values again (docs/performance.md)
LARGE = 1 << 26


def reaching(nodes: Iterable[Node], sources: Iterable[Node]) -> set[Node]:
    """Those of `nodes` (operands before users) that depend on one of `sources`, which are included."""
    found = set(sources)
    for node in nodes:
        if any(a in found for a in node.args):
            found.add(node)
    return found


def saved(forward: Loop, outputs: Sequence[Node], given: Collection[Node]) -> list[Node]:
    """Forward values that `outputs` read, in program order; `given`: the backward body's own inputs."""
    there = order(forward.results)
    nodes = order(outputs)
    behind = reaching(nodes, given)
    changing = reaching(nodes, [forward.turn, *forward.state, *forward.cuts])
    lying = {unmoved(a) for n in there if n.op == "contract" for a in n.args}
    worth = (n for n in there if expensive(n) or (n in lying and n.op != "input"))
    kept = {n for n in worth if n in changing and n not in behind}
    kept = lifted(kept, outputs, set(there) - behind) | set(forward.state)
    large = [n for n in there if n in kept and n.type.nbytes * forward.count >= LARGE]
    kept = spared(kept, outputs, [n for n in large if not expensive(n) and n not in forward.state])
    needed = above(outputs, kept)
    return [n for n in dict.fromkeys([*forward.state, *there]) if n in needed and n in kept]


def lifted(kept: set[Node], outputs: Sequence[Node], there: Collection[Node]) -> set[Node]:
    """`kept` with each value that is read only to make one other value of its type exchanged for that one: as much to
    store, less to compute again. `there`: what the forward body computes."""
    while True:
        readers = users(above(outputs, kept))
        single = {n: readers[n][0] for n in kept if len(readers.get(n, ())) == 1}
        better = {n: u for n, u in single.items() if u in there and u.result == n.result and n not in outputs}
        if not better:
            return kept
        kept = (kept - set(better)) | set(better.values())


def spared(kept: set[Node], outputs: Sequence[Node], cheap: Sequence[Node]) -> set[Node]:
    """`kept` without those of `cheap` that are made of the others by cheap operations alone, where all that is kept
    besides in their place are values an eighth of their size."""
    for node in cheap:
        rest = kept - {node}
        if not any(map(expensive, above([node], rest) - rest)):
            more = above(outputs, rest) & rest - above(outputs, kept)
            kept = rest if 8 * sum(n.type.nbytes for n in more) <= node.type.nbytes else kept
    return kept


def unmoved(node: Node) -> Node:
    """The node whose elements `node` only moves."""
    while OPS[node.op].has("movement") and len(node.args) == 1:
        node = node.args[0]
    return node


def above(roots: Iterable[Node], kept: Collection[Node]) -> set[Node]:
    """Nodes that `roots` reach without going through a node of `kept`; those of `kept` met are included."""
    found: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += () if node in kept else node.args
    return found


def exchanged(roots: Iterable[Node], extended: Mapping[Node, Node]) -> list[Node]:
    """`roots` with every loop in `extended` exchanged for the longer one (whose operands are the same)."""
    image: dict[Node, Node] = {}
    wanted = list(roots)
    for node in order(wanted):
        image[node] = rebuilt(extended.get(node, node), image)
    return [image[node] for node in wanted]
