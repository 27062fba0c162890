"""Which values of a step belong to one example, and what they are for a piece of the batch.

Takes: nodes of the step, made for the whole batch. Promises: each node is *whole* (it depends on no example, or on all
of them through sums), *each* (an axis counts the examples, and a place on it depends on no other), or *part* (a sum
over examples, so that the pieces' values may be added). `each` and `part` have an image for one piece. Raises Mixed
where a value of one example depends on others, and where a gradient is asked of what is no sum over examples; Early
where a total that no gradient goes through is all that is wanting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from math import prod

from jobspec.ir.build import fill_bits, inverse, permute
from jobspec.ir.ops import OPS
from jobspec.ir.origin import inherit
from jobspec.ir.program import Node, make, order, rebuild
from jobspec.lang.pieces import Piece, share_of


@dataclass(frozen=True)
class Whole:
    """`after`: known only when the sums over the batch are."""

    after: bool = False


@dataclass(frozen=True)
class Each:
    """`axis` counts the examples."""

    axis: int


@dataclass(frozen=True)
class Part:
    """A sum over the examples."""


Kind = Whole | Each | Part


class Mixed(Exception):
    """The value of `node` in one piece would need other pieces. `objective`: it is one that is differentiated."""

    def __init__(self, node: Node, objective: bool = False) -> None:
        super().__init__(node.op)
        self.node, self.objective = node, objective


class Early(Exception):
    """The total of `node` is needed before the pieces. `loops`: those it stands in, outermost first."""

    def __init__(self, node: Node, loops: tuple[Node, ...] = ()) -> None:
        super().__init__(node.op)
        self.node, self.loops = node, loops


@dataclass(eq=False)
class Region(ABC):
    """Nodes of one region (the step, or the body of a loop) and what is known of them. `images`: a node as one piece
    computes it; `linear`: nodes whose parts stay parts, because a gradient is taken of them; `moving`: those that a
    gradient goes through; `touched`: whole nodes that come out of a loop that is cut; `waited`: parts that are needed
    in total."""

    size: int
    count: int
    rules: Rules
    kinds: dict[Node, Kind] = field(default_factory=dict)
    images: dict[Node, Node] = field(default_factory=dict)
    linear: Collection[Node] = ()
    moving: Collection[Node] = ()
    cuts: dict[tuple[Node, int], Node] = field(default_factory=dict)
    loops: dict[Node, CutLoop] = field(default_factory=dict)
    touched: set[Node] = field(default_factory=set)
    waited: set[Node] = field(default_factory=set)

    # ---- what the step and a loop's body do in their own way ----

    @abstractmethod
    def bring(self, node: Node) -> Node:
        """A whole node, not `after`, as the piece sees it."""

    @abstractmethod
    def leaf(self, node: Node, axis: int) -> Node:
        """The piece's part of a whole node that cannot be cut by cutting its operands."""

    @abstractmethod
    def examples(self) -> Node:
        """Places in the batch of the piece's examples (i32)."""

    @abstractmethod
    def want(self, image: Node) -> None:
        """The sum of `image` over all pieces is needed."""

    def other(self, node: Node) -> bool:
        """Visits an op that is not the same everywhere (`gradient`); whether it did."""
        return False

    # ---- the way through ----

    def visit_all(self, roots: Iterable[Node]) -> None:
        for node in order(roots):
            if node not in self.kinds:
                self.visit(node)

    def visit(self, node: Node) -> None:
        if self.other(node):
            return
        kinds = [self.kinds[a] for a in node.args]
        if any(isinstance(k, Each) for k in kinds) or node.op in ("loop", "get"):
            rule = self.rules.each.get(node.op, self.rules.elementwise if OPS[node.op].has("elementwise") else None)
            if rule is None:
                raise Mixed(node)
            if any(isinstance(k, Part) for k in kinds) and node.op not in ("loop", "get"):
                self.ask(node.args)
                raise Mixed(node)
            rule(self, node)
        elif any(isinstance(k, Part) for k in kinds):
            self.rules.part(self, node)
        else:
            self.whole(node)

    def whole(self, node: Node) -> None:
        self.kinds[node] = Whole(any(self.is_after(a) for a in node.args))
        if any(a in self.touched for a in node.args):
            self.touched.add(node)

    def is_after(self, node: Node) -> bool:
        kind = self.kinds[node]
        return isinstance(kind, Whole) and kind.after

    def after(self, node: Node) -> None:
        """`node` is computed from totals, once."""
        for a in node.args:
            self.wait_for(a)
        self.kinds[node] = Whole(after=True)

    def ask(self, nodes: Iterable[Node]) -> None:
        """Raises Early for the first of `nodes` that is known in total only, and that no gradient goes through."""
        for node in nodes:
            if node not in self.moving and (isinstance(self.kinds[node], Part) or self.is_after(node)):
                raise Early(node)

    def wait_for(self, node: Node) -> None:
        """`node`, if it is a sum over examples, is needed in total."""
        if isinstance(self.kinds[node], Part):
            self.waited.add(node)
            self.want(self.images[node])

    def each(self, node: Node, axis: int, image: Node) -> None:
        self.kinds[node], self.images[node] = Each(axis), image
        inherit(image, node)

    def part(self, node: Node, image: Node) -> None:
        self.kinds[node], self.images[node] = Part(), image
        inherit(image, node)

    def axis_of(self, node: Node) -> int | None:
        """Which axis of a node counts the examples."""
        kind = self.kinds[node]
        return kind.axis if isinstance(kind, Each) else None

    # ---- images of operands ----

    def image(self, node: Node, user: Node) -> Node:
        """What the piece has for `node`, whatever it is. Raises Mixed where that waits for all pieces."""
        if node in self.images:
            return self.images[node]
        if self.is_after(node):
            self.ask([node])
            raise Mixed(user)
        return self.bring(node)

    def as_part(self, node: Node, user: Node) -> Node:
        """A part, or a whole value shared out evenly, so that the pieces' values add up to it."""
        image = self.image(node, user)
        return image if isinstance(self.kinds[node], Part) else share_of(image, self.count)

    def cut(self, node: Node, axis: int, user: Node) -> Node:
        """The piece's part of `node` along `axis`, which has a place for every example of the batch."""
        kind = self.kinds[node]
        if kind == Each(axis):
            return self.images[node]
        if not isinstance(kind, Whole) or kind.after:
            self.ask([node])
            raise Mixed(user)
        if (node, axis) not in self.cuts:
            self.cuts[node, axis] = self.cut_whole(node, axis, user)
        return self.cuts[node, axis]

    def cut_whole(self, node: Node, axis: int, user: Node) -> Node:
        shape = self.shortened(node.shape, axis)
        if (bits := fill_bits(node)) is not None:
            return make("const", dtype=node.dtype, shape=shape, bits=(bits,))
        if node.op == "iota":
            return self.examples()
        if node.op == "stop" or OPS[node.op].has("elementwise"):
            return rebuild(node, tuple(self.cut(a, axis, user) for a in node.args))
        if node.op == "broadcast":
            (x,), axes = node.args, node["axes"]
            inner = self.cut(x, axes.index(axis), user) if axis in axes else self.image(x, user)
            return make("broadcast", inner, shape=shape, axes=axes)
        if node.op == "permute":
            return rebuild(node, (self.cut(node.args[0], node["axes"][axis], user),))
        if node.op == "reshape" and (place := same_axis(node.shape, axis, node.args[0].shape)) is not None:
            return make("reshape", self.cut(node.args[0], place, user), shape=shape)
        return self.leaf(node, axis)

    def picked(self, node: Node, axis: int) -> Node:
        """The piece's part of a whole node that the piece itself computes."""
        front = (axis, *(i for i in range(len(node.shape)) if i != axis))
        rows = make("gather", permute(self.image(node, node), front), self.examples(), batch=0)
        return permute(rows, inverse(front))

    def shortened(self, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
        return (*shape[:axis], self.size, *shape[axis + 1 :])


def same_axis(shape: tuple[int, ...], axis: int, other: tuple[int, ...]) -> int | None:
    """Which axis of `other` is `axis` of `shape`, if a reshape from one to the other keeps it."""
    places = [j for j, n in enumerate(other) if n == shape[axis] and prod(other[:j]) == prod(shape[:axis])]
    return places[0] if places else None


@dataclass(frozen=True, eq=False)
class CutLoop:
    """A loop whose body runs on one piece. `node`: that loop; `results`: by number of the old loop's result, its kind
    and its image (None for what waits for totals); `totals`: what the body's later part needs summed, and the number of
    the result that stacks it."""

    node: Node
    region: Region
    results: tuple[tuple[Kind, Node | None], ...]
    totals: dict[Node, int]


Rule = Callable[[Region, Node], None]


@dataclass(frozen=True)
class Rules:
    """How a node is visited that has an operand of each example (by op; `elementwise` for all such), or a part."""

    each: dict[str, Rule]
    elementwise: Rule
    part: Rule


@dataclass(eq=False)
class Step(Region):
    """The step itself. `deep`: what depends on a parameter whose gradient is taken; it is computed in the piece."""

    piece: Piece = field(default_factory=lambda: Piece(1, 1))
    deep: Collection[Node] = ()
    brought: dict[Node, Node] = field(default_factory=dict)

    def bring(self, node: Node) -> Node:
        if node not in self.brought:
            self.brought[node] = self.brought_new(node)
        return self.brought[node]

    def brought_new(self, node: Node) -> Node:
        if fill_bits(node) is not None:
            return node
        if node.args and (node in self.deep or node in self.touched):
            return rebuild(node, tuple(self.image(a, node) for a in node.args))
        return self.piece.share(node)

    def leaf(self, node: Node, axis: int) -> Node:
        if node in self.deep or node in self.touched:
            return self.picked(node, axis)
        return self.piece.cut(node, axis)

    def examples(self) -> Node:
        return self.piece.examples()

    def want(self, image: Node) -> None:
        self.piece.want(image)

    def other(self, node: Node) -> bool:
        if node.op != "gradient":
            return False
        loss, parameter = node.args
        kind = self.kinds[loss]
        if isinstance(kind, Part):
            image = make("gradient", self.images[loss], self.bring(parameter))
            self.part(node, image)
            self.wait_for(node)
        elif self.is_after(loss):
            raise Mixed(loss, objective=True)
        else:
            self.whole(node)
        return True
