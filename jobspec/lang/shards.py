"""Meaning of `shards = n` and `shards = per_piece(n)`: the batch in equal pieces, one after another.

Takes: the setting, and the step's outputs made for the whole batch (for `per_piece`: for one piece). Promises: outputs
in which every gradient is the sum over the pieces of that of the piece, folded by the adjacent balanced tree, in rolled
loops. The objective is the same as without shards; with `per_piece` it is the mean over the pieces of the loss of the
piece, and a layer's state is the mean of what each piece makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jobspec.ir.origin import following
from jobspec.ir.program import Node, make, order, rebuild
from jobspec.ir.regions import body_input
from jobspec.ir.types import Type
from jobspec.lang import tree
from jobspec.lang.cutting import Each, Early, Mixed, Step
from jobspec.lang.cutting_first import First, moved_by
from jobspec.lang.cutting_rules import RULES
from jobspec.lang.cutting_totals import Later
from jobspec.lang.data import BATCH
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame
from jobspec.lang.pieces import Piece, share_of
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.settings import Settings
from jobspec.lang.source import Span
from jobspec.lang.things import need_whole
from jobspec.lang.values import Tensor
from jobspec.lang.work import Work

PER_PIECE = "per_piece"
EXAMPLES = "examples"
Outputs = Sequence[tuple[str, Node]]


@dataclass(frozen=True)
class Shards:
    """`count` pieces; `own`: each has its own loss and statistics (`per_piece`). `span`: the setting."""

    count: int = 1
    own: bool = False
    span: Span | None = None


#: a batch that is not cut
WHOLE = Shards()


def shards_of(settings: Settings) -> Shards:
    """The setting `shards`; one piece where it is not set. Raises Silenced after a report."""
    node = settings.given.get("shards")
    if node is None:
        return WHOLE
    own = is_per_piece(node)
    amount = node.arguments[0] if isinstance(node, tree.Call) and own else node
    try:
        return Shards(need_whole(evaluate(settings.frame, amount), 1), own, node.span)
    except Refusal as refusal:
        settings.frame.report(refusal, amount.span)
        raise Silenced from None


def is_per_piece(node: tree.Expr) -> bool:
    match node:
        case tree.Call(function=tree.Name(id=name), arguments=(_,), keywords=()):
            return name == PER_PIECE
    return False


def enter(frame: Frame, shards: Shards) -> None:
    """Before the step is made: checks that the pieces are equal; `per_piece` makes it for one of them."""
    if shards.count == 1:
        return
    work = frame.work
    batch = work.sizes[BATCH]
    if batch % shards.count:
        assert shards.span is not None
        frame.report(uneven(batch, shards), shards.span)
        raise Silenced
    if shards.own:
        size = batch // shards.count
        work.sizes = {**work.sizes, BATCH: size}
        work.examples = Tensor(body_input(EXAMPLES, Type("i32", (size,))), (BATCH,))


def uneven(batch: int, shards: Shards) -> Refusal:
    good = [n for n in range(1, batch + 1) if batch % n == 0]
    near = sorted(sorted(good, key=lambda n: abs(n - shards.count))[:2])
    said = " or ".join(f"`shards = {f'{PER_PIECE}({n})' if shards.own else n}`" for n in near)
    return Refusal("E0331", f"{shards.count} equal pieces of B = {batch} examples there are not", help=f"say {said}")


def finished(frame: Frame, shards: Shards, outputs: Outputs) -> list[tuple[str, Node]]:
    """The outputs of the step that goes through the pieces. Raises Silenced after a report."""
    if shards.count == 1:
        return list(outputs)
    try:
        make_all = own_pieces if shards.own else pieces
        with following(frame.work.places.table) as trail:
            values = make_all(frame.work, shards, [node for _, node in outputs])
        frame.work.places.table |= trail.table
    except Mixed as mixed:
        assert shards.span is not None
        frame.report(mixing(mixed, shards), place(frame.work, mixed.node) or shards.span)
        raise Silenced from None
    return [(name, value) for (name, _), value in zip(outputs, values, strict=True)]


def place(work: Work, node: Node) -> Span | None:
    """Where in the job's text a node, or what it is made from, was written."""
    for found in reversed(order([node])):
        if found in work.places.table:
            line, column = work.places.table[found]
            starts = [0, *(i + 1 for i, c in enumerate(work.places.source.text) if c == "\n")]
            at = starts[line - 1] + column - 1
            return Span(work.places.source, at, at + 1)
    return None


def mixing(mixed: Mixed, shards: Shards) -> Refusal:
    if mixed.objective:
        return Refusal(
            "E0333",
            "the loss is no sum over the examples, so it has no pieces",
            notes=("sums over B that depend on parameters may only be added, and scaled by what does not",),
            help="divide within each example and fold over B last, as in `mean[B](sum[T](m*e)/sum[T](m))`; or wrap "
            f"what scales it in `stop(…)`; or `shards = {PER_PIECE}({shards.count})` takes the quotient in each piece",
        )
    return Refusal(
        "E0332",
        f"here one example's value depends on the others, which `shards = {shards.count}` puts into other pieces",
        help=f"`shards = {PER_PIECE}({shards.count})` gives each piece its own loss and statistics; "
        "or keep B as an axis until the loss folds it",
    )


# ---- the same objective ----


def pieces(work: Work, shards: Shards, roots: list[Node]) -> list[Node]:
    """`roots` of the whole batch, by way of the pieces; once more before that, for totals that these need."""
    first = First()
    while True:
        try:
            values = cut(work, shards, roots)
        except Early as early:
            roots = first.taken_out(roots, early)
        else:
            return first.put_back(values, lambda nodes: cut(work, shards, nodes))


def cut(work: Work, shards: Shards, roots: list[Node]) -> list[Node]:
    """`roots` by way of the pieces. Raises Early for a total that they need."""
    piece = Piece(work.sizes[BATCH], shards.count)
    gradients = [n for n in order(roots) if n.op == "gradient"]
    linear = set(order(g.args[0] for g in gradients))
    parameters = {g.args[1] for g in gradients}
    deep, moving = above(roots, parameters), moved_by(roots, parameters)
    step = Step(piece.size, shards.count, RULES, linear=linear, moving=moving, piece=piece, deep=deep)
    for feed in work.feeds.values():
        step.each(feed.node, 0, piece.cut(feed.node, 0))
    step.visit_all(roots)
    for root in roots:
        if isinstance(step.kinds[root], Each):
            raise Mixed(root)
        step.wait_for(root)
    totals = piece.totals() if piece.wanted else {}
    return Later(step, totals.__getitem__).values(roots)


def above(roots: Iterable[Node], sources: set[Node]) -> set[Node]:
    """Nodes that depend on one of `sources`, but not by way of a gradient."""
    found = set(sources)
    for node in order(roots):
        if node.op != "gradient" and any(a in found for a in node.args):
            found.add(node)
    return found


# ---- a loss of its own for each piece ----


def own_pieces(work: Work, shards: Shards, roots: list[Node]) -> list[Node]:
    """`roots` made for one piece, as means over all of them; `work` is that of the whole batch from now on."""
    assert work.examples is not None
    batch = work.sizes[BATCH] * shards.count
    piece = Piece(batch, shards.count)
    inside = own_inputs(work, piece, batch)
    body = OwnPiece(piece, inside, roots)
    known = body.outside(roots)
    totals = piece.totals() if piece.wanted else {}
    return body.finished(roots, known, totals)


def own_inputs(work: Work, piece: Piece, batch: int) -> dict[Node, Node]:
    """Input of the step made for one piece → the same in the body; the feeds of `work` become those of the batch."""
    assert work.examples is not None
    inside: dict[Node, Node] = {work.examples.node: piece.examples()}
    for name, feed in work.feeds.items():
        node = feed.node
        whole = make("input", name=node["name"], dtype=node.dtype, shape=(batch, *node.shape[1:]))
        inside[node] = piece.cut(whole, 0)
        work.feeds[name] = replace(feed, node=whole)
    work.sizes = {**work.sizes, BATCH: batch}
    return inside


class OwnPiece:
    """The step of one piece. `inner`: what depends on its examples; `deep`: what depends on a parameter."""

    def __init__(self, piece: Piece, inside: dict[Node, Node], roots: list[Node]) -> None:
        self.piece, self.images = piece, inside
        self.inner = above(roots, set(inside))
        self.deep = above(roots, {n.args[1] for n in order(roots) if n.op == "gradient"})

    def image(self, node: Node) -> Node:
        """`node` as the body computes it."""
        for n in order([node]):
            if n not in self.images:
                built = n.args and (n in self.inner or n in self.deep)
                self.images[n] = rebuild(n, tuple(self.images[a] for a in n.args)) if built else self.given(n)
        return self.images[node]

    def given(self, node: Node) -> Node:
        return node if node.op == "const" and len(node["bits"]) == 1 else self.piece.share(node)

    def outside(self, roots: list[Node]) -> list[Node]:
        """Nodes that are not the pieces' own, in program order; what they read of the pieces is wanted."""
        nodes = [n for n in order(roots) if n not in self.inner]
        for node in nodes:
            if node.op == "gradient":
                self.want(node)
            else:
                self.want_inner(node.args)
        self.want_inner(roots)
        return nodes

    def want(self, gradient: Node) -> None:
        loss, parameter = gradient.args
        share = share_of(self.image(loss), self.piece.count)
        self.images[gradient] = make("gradient", share, self.image(parameter))
        self.piece.want(self.images[gradient])

    def want_inner(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if node in self.inner:
                if not isinstance(node.result, Type) or node.dtype != "f32":
                    raise Mixed(node)
                self.piece.want(self.image(node))

    def finished(self, roots: list[Node], nodes: list[Node], totals: dict[Node, Node]) -> list[Node]:
        known: dict[Node, Node] = {}

        def value(node: Node) -> Node:
            return share_of(totals[self.images[node]], self.piece.count) if node in self.inner else known[node]

        for node in nodes:
            if node.op == "gradient":
                known[node] = totals[self.images[node]]
            else:
                known[node] = rebuild(node, tuple(value(a) for a in node.args))
        return [value(root) for root in roots]
