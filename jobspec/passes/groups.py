"""Fusion: which nodes of a region are computed together, in one kernel.

Takes: the nodes of one region (a program or a loop body), operands first. Promises: every computed node
is in exactly one group or is `virtual` (so cheap that each reader computes it again); groups can be
put in an order in which all a group reads from others is made before it. Fusion never changes a
bit: it decides where a value lives, not how it is computed.

A node joins the group of one of its operands where it walks the same elements in the same order;
reductions start groups, and let what follows them (once per row, or per kept point) join.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from jobspec.ir.contract import row_ordered
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.passes.reads import Reads, chain_of
from jobspec.passes.views import MOVES, Strided, dense, dense_axes, follow, tidy

PRODUCTS = frozenset({"contract", "block_products", "segment_sums"})
REDUCES = frozenset({"sum", "reduce_max", "argmax"})
VIRTUAL_COST = 6
VIRTUAL_LOADS = 2
FEW_ROWS = 16
LONG_ROW = 4096
COSTS = {"div": 6, "sqrt": 6}
LIBRARY_COST = 20


@dataclass(eq=False)
class Group:
    """`kind`: rows | columns | contract | scatter | route | loop | copy. `domain`: the elements it walks over.
    `inner`: axes of the domain that are folded (rows: trailing axes, empty until a reduction joins). `reads`: what its
    nodes take, through movements and virtual nodes."""

    number: int
    kind: str
    domain: tuple[int, ...]
    inner: tuple[int, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    reads: set[Node] = field(default_factory=set)

    @property
    def outside(self) -> tuple[int, ...]:
        """The shape of what is computed once per row, kept point or contraction result."""
        return tuple(n for i, n in enumerate(self.domain) if i not in self.inner)

    def twin(self) -> Group:
        """Another group that is the same so far."""
        return Group(self.number, self.kind, self.domain, self.inner, self.nodes.copy(), self.reads.copy())


def weight(node: Node) -> int:
    """Rough cost of one element, in simple vector instructions."""
    return LIBRARY_COST if OPS[node.op].has("library") else COSTS.get(node.op, 1)


def find_virtual(nodes: Iterable[Node], kept: set[Node]) -> dict[Node, int]:
    """Elementwise nodes that are recomputed by each reader, with their cost: cheap, and made of inputs, of which
    at most two are as large as the node. `kept`: nodes that must lie in memory themselves."""
    costs: dict[Node, int] = {}
    leaves: dict[Node, frozenset[Node]] = {}
    for node in nodes:
        if node.op == "iota" or (node.op == "const" and len(node["bits"]) == 1):
            costs[node], leaves[node] = 0, frozenset()
        elif node.op in ("input", "const"):
            costs[node], leaves[node] = 0, frozenset({node})
        elif OPS[node.op].has("elementwise") and node not in kept:
            below = [chain_of(a)[0] for a in node.args]
            if all(b in costs for b in below):
                cost = weight(node) + sum(costs[b] for b in below)
                bases = frozenset().union(*(leaves[b] for b in below))
                if cost <= VIRTUAL_COST and sum(b.type.size >= node.type.size for b in bases) <= VIRTUAL_LOADS:
                    costs[node], leaves[node] = cost, bases
    return {n: c for n, c in costs.items() if n.op != "input" and (n.op != "const" or len(n["bits"]) == 1)}


def operands_of(nodes: Iterable[Node]) -> list[Node]:
    """What the nodes that compute read."""
    return [a for n in nodes if n.op not in MOVES and n.op != "get" for a in n.args]


def find_copies(operands: Iterable[Node], reads: Reads) -> frozenset[Node]:
    """Movements that must be made in memory: those that `reads` has copied, operands of movements that strides cannot
    say, and what these copies need in turn."""
    found: dict[Node, None] = dict.fromkeys(reads.copied)
    found |= dict.fromkeys(reads.of_all([a for a in operands if not isinstance(a.result, tuple)]))
    pending = [n for n in found if n.op in MOVES]
    while pending:
        more = [n for n in reads.below(pending.pop()) if n not in found]
        found |= dict.fromkeys(more)
        pending += [n for n in more if n.op in MOVES]
    return reads.copied | {n for n in found if n.op in MOVES}


def unreachable(node: Node, moves: list[Node], virtual: Mapping[Node, int]) -> bool:
    """Whether recomputing `node` behind `moves` would need a walk that strides cannot say."""
    base, inner = chain_of(node)
    moves = inner + moves
    if base in virtual and base.op != "iota":
        return any(unreachable(a, moves, virtual) for a in base.args)
    return follow(dense(base), moves) is None


def choose_virtual(nodes: list[Node], roots: Iterable[Node], kept: set[Node]) -> dict[Node, int]:
    """The virtual nodes of a region whose every reader can recompute them."""
    kept = set(kept)
    operands = [*operands_of(nodes), *roots]
    while True:
        virtual = find_virtual(nodes, kept)
        bad = {chain_of(a)[0] for a in operands if chain_of(a)[0] in virtual and unreachable(a, [], virtual)}
        if not bad - kept:
            return virtual
        kept |= bad


class Grouping:
    """Groups of one region under construction, with who depends on whom (bit sets over group numbers)."""

    def __init__(self, reads: Reads) -> None:
        self.virtual, self.copied, self.reads = reads.virtual, reads.copied, reads
        self.groups: list[Group] = []
        self.home: dict[Node, Group] = {}
        self.above: list[int] = []
        #: the groups that any group comes after
        self._before = 0
        #: groups by the elements that they fold and the axes: columns share their loops, rows what they read
        self._folding: dict[tuple[tuple[int, ...], tuple[int, ...]], list[Group]] = {}

    def branch(self, reads: Reads) -> Grouping:
        """A grouping that goes on from here with another choice, which is the same for all nodes met so far."""
        other = Grouping(reads)
        twins = {g: g.twin() for g in self.groups}
        other.groups, other.above, other._before = list(twins.values()), list(self.above), self._before
        other.home = {node: twins[group] for node, group in self.home.items()}
        other._folding = {key: [twins[g] for g in found] for key, found in self._folding.items()}
        return other

    def add(self, node: Node) -> None:
        """Put `node` into the best group there is, or into a new one."""
        near = self._candidates(node)
        if len(near) > 1 and OPS[node.op].has("elementwise") and self._bring_together(node, near):
            near = self._candidates(node)
        below = self._below(node)
        for group in self._by_worth(node, near):
            if self._joins(node, group, below):
                self._enter(node, group)
                return
        self._enter(node, self._start(node))

    def _by_worth(self, node: Node, near: Collection[Group]) -> Collection[Group]:
        """`near` in the order in which `node` would join them."""
        if len(near) < 2:
            return near
        return sorted(near, key=lambda g: (-self._together(node, g), -g.number))

    def _together(self, node: Node, group: Group) -> int:
        """How much of what a sum down columns reads is read by `group` anyway."""
        return sum(b in group.reads for b in self.reads.bases(node)) if group.kind == "columns" else 0

    def _bring_together(self, node: Node, found: set[Group]) -> bool:
        """Where `node` reads what several groups make of the same elements, make them one: maps part of a contraction's
        epilogue, maps and rows that are folded alike part of each other. Whether any were."""
        near = sorted((g for g in found if g.domain == node.shape), key=lambda g: g.number)
        merged = False
        products, folds = ([g for g in near if g.kind == kind] for kind in ("contract", "rows"))
        if len(folds) + len(products[:1]) < 2:
            return False
        if not products:
            below = self._below(node)
            folds = [g for g in folds if self._joins(node, g, below)]
        for into in [*sorted(folds, key=lambda g: bool(g.inner)), *products][-1:]:
            for group in folds:
                if group is not into and self._is_part(group, into):
                    self._merge(group, into)
                    merged = True
        return merged

    def _is_part(self, group: Group, into: Group) -> bool:
        """Whether all that `group` makes could as well be made by `into`."""
        apart = not self.depends(group, into) and not self.depends(into, group)
        return apart and group.inner in ((), into.inner) and all(self._shape_fits(n, into) for n in group.nodes)

    def _merge(self, group: Group, into: Group) -> None:
        """Move all nodes of `group`; whoever came after it comes after `into`."""
        into.nodes += group.nodes
        into.reads |= group.reads
        self.home |= dict.fromkeys(group.nodes, into)
        group.nodes = []
        self.raise_over(into, self.above[group.number])
        for other in self._later(group):
            self.raise_over(other, self.above[into.number] | 1 << into.number)

    def _candidates(self, node: Node) -> set[Group]:
        found = {self.home[b] for b in self.reads.bases(node) if b in self.home}
        if node.op in REDUCES:
            alike = self._folding.get((node.args[0].shape, tuple(node["axes"])), [])
            found |= {g for g in alike if g.kind == "columns" or not g.reads.isdisjoint(self.reads.bases(node))}
        return found

    def _enter(self, node: Node, group: Group) -> None:
        group.nodes.append(node)
        self.home[node] = group
        below = 0
        for base in self.reads.bases(node):
            group.reads.add(base)
            other = self.home.get(base)
            if other is not None and other is not group:
                below |= self.above[other.number] | 1 << other.number
        self.raise_over(group, below)

    def raise_over(self, group: Group, below: int) -> None:
        """Record that `group` comes after the groups in the bit set `below`."""
        if below & ~self.above[group.number]:
            self.above[group.number] |= below
            self._before |= below
            for other in self._later(group):
                self.above[other.number] |= self.above[group.number]

    def _later(self, group: Group) -> list[Group]:
        """The groups that come after `group`: there are none where it is the newest, as it mostly is."""
        if not self._before >> group.number & 1:
            return []
        bit = 1 << group.number
        return [other for other in self.groups if self.above[other.number] & bit]

    def after(self, group: Group, earlier: Iterable[Group]) -> None:
        """Record that `group` comes after those of `earlier` that are others."""
        for other in earlier:
            if other is not group:
                self.raise_over(group, self.above[other.number] | 1 << other.number)

    def depends(self, later: Group, earlier: Group) -> bool:
        return bool(self.above[later.number] >> earlier.number & 1)

    def new(self, kind: str, domain: tuple[int, ...], inner: tuple[int, ...] = ()) -> Group:
        group = Group(len(self.groups), kind, domain)
        self.groups.append(group)
        self.above.append(0)
        self._fold(group, inner)
        return group

    def _fold(self, group: Group, axes: tuple[int, ...]) -> None:
        group.inner = axes
        if axes:
            self._folding.setdefault((group.domain, axes), []).append(group)

    def copy(self, node: Node) -> None:
        """Give `node`, which is `copied`, a group that makes it in memory."""
        group = self._copier(node, self.reads.below(node))
        group.nodes.append(node)
        self.home[node] = group

    def copier(self, node: Node) -> Group:
        """A new group that copies `node` from where it lies or is made."""
        return self._copier(node, self.reads.of(node))

    def _copier(self, node: Node, found: Iterable[Node]) -> Group:
        group = self.new("copy", node.shape)
        self.after(group, [self.home[b] for b in found if b in self.home])
        return group

    def _start(self, node: Node) -> Group:
        if node.op in REDUCES:
            shape, axes = node.args[0].shape, tuple(node["axes"])
            return self.new("rows" if row_ordered(len(shape), axes) else "columns", shape, axes)
        if node.op in PRODUCTS:
            return self.new("contract", node.shape)
        if node.op == "route":
            return self.new("route", node.args[0].shape)
        if node.op == "scatter_add":
            return self.new("scatter", node.args[0].shape)
        if node.op == "loop":
            return self.new("loop", ())
        if not OPS[node.op].has("elementwise") and node.op != "gather":
            return self.new("copy", node.shape)
        return self.new("rows", node.shape)

    def _below(self, node: Node) -> int:
        """What comes before the groups that `node` reads from."""
        below = 0
        for base in self.reads.bases(node):
            if base in self.home:
                below |= self.above[self.home[base].number]
        return below

    def _joins(self, node: Node, group: Group, below: int) -> bool:
        """`below`: what comes before the groups that `node` reads from."""
        if group.kind not in ("rows", "columns", "contract") or below >> group.number & 1:
            return False
        if node.op in REDUCES:
            return self._reduce_joins(node, group)
        if not (OPS[node.op].has("elementwise") or node.op == "gather"):
            return False
        return self._shape_fits(node, group) and all(self._operand_fits(a, group) for a in self._values(node))

    def _values(self, node: Node) -> tuple[Node, ...]:
        return node.args[1:] if node.op == "gather" else node.args

    def _shape_fits(self, node: Node, group: Group) -> bool:
        picks = node.op == "gather"
        if picks and self.home.get(chain_of(node.args[0], self.copied)[0]) is group:
            return False
        if picks and sum(group.domain[i] > 1 for i in group.inner) > 1:
            return False
        if not group.inner:
            return node.shape == group.domain
        inside = node.shape == group.domain and group.kind == "rows" and not is_long(group)
        return inside or node.shape == group.outside

    def _reduce_joins(self, node: Node, group: Group) -> bool:
        axes = tuple(node["axes"])
        if node.args[0].shape != group.domain or not self._operand_fits(node.args[0], group):
            return False
        if group.kind == "columns":
            inside = any(self.home.get(b) is group for b in self.reads.bases(node))
            return axes == group.inner and not inside
        if group.kind != "rows" or not row_ordered(len(group.domain), axes) or self._picks_across(group, axes):
            return False
        if not group.inner:
            self._fold(group, axes)
        return axes == group.inner

    def _picks_across(self, group: Group, axes: tuple[int, ...]) -> bool:
        """Whether a row of `axes` would be several axes to a gather in `group`: it could not be walked as one."""
        return sum(group.domain[i] > 1 for i in axes) > 1 and any(n.op == "gather" for n in group.nodes)

    def _operand_fits(self, operand: Node, group: Group) -> bool:
        return self._leaves_fit(operand, [], operand.shape, group, set())

    def _leaves_fit(
        self, operand: Node, moves: list[Node], shape: tuple[int, ...], group: Group, seen: set[tuple[Node, ...]]
    ) -> bool:
        """Whether what `operand`, moved by `moves` into `shape`, takes from `group` itself lies at the very element
        that is being computed. `seen`: what was found to fit, so that a shared operand is followed once."""
        base, inner = chain_of(operand, self.copied)
        again = base in self.virtual and base not in self.copied
        if not again and self.home.get(base) is not group:
            return True
        moves = inner + moves if inner else moves
        if not again:
            return not moves or self._lies_there(base, moves, shape, group)
        if (base, *moves) in seen:
            return True
        seen.add((base, *moves))
        return all(self._leaves_fit(a, moves, shape, group, seen) for a in base.args)

    def _lies_there(self, base: Node, moves: list[Node], shape: tuple[int, ...], group: Group) -> bool:
        view = follow(dense(base), moves)
        return view is not None and aligned(view, base, shape, group)


def is_long(group: Group) -> bool:
    """Whether the group folds few long rows: threads share out rows, so nothing else should wait in them."""
    return bool(group.inner) and prod(group.outside) < FEW_ROWS and prod(group.domain) > LONG_ROW


def aligned(view: Strided, base: Node, shape: tuple[int, ...], group: Group) -> bool:
    """Whether `view` reads, at each element of `shape`, what `group` computes of `base` there."""
    own = dense_axes(base.shape)
    if shape == base.shape:
        return view.offset == 0 and view.axes == own
    if shape != group.domain or base.shape != group.outside:
        return False
    kept = iter(own)
    wanted = tuple(tidy(((n, 0),)) if i in group.inner else next(kept) for i, n in enumerate(shape))
    return view.offset == 0 and view.axes == wanted
