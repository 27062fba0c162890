"""A loop of the step (`repeat`, `scan`) for one piece of the batch.

Takes: a loop some of whose operands have a place for every example. Promises: a loop on pieces, its body cut like the
step itself; what its body computes from sums over the examples (a router's bias) goes into a second loop, which takes
the totals of these sums turn by turn (`remainder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobspec.ir import regions
from jobspec.ir.program import Node, order, rebuild
from jobspec.ir.regions import Loop, body_input, parts
from jobspec.ir.types import Type
from jobspec.lang.cutting import CutLoop, Each, Early, Kind, Mixed, Part, Region, Whole
from jobspec.lang.cutting_first import moved_by


class Promoted(Exception):
    """A body input that was taken to be whole has a place for each example."""

    def __init__(self, node: Node, kind: Kind) -> None:
        super().__init__()
        self.node, self.kind = node, kind


@dataclass(eq=False)
class Body(Region):
    """The body of a loop. `wanted`: sums over the examples that its later part needs in total."""

    wanted: dict[Node, None] = field(default_factory=dict)
    places: Node | None = None

    def bring(self, node: Node) -> Node:
        if node not in self.touched:
            return node
        return rebuild(node, tuple(self.image(a, node) for a in node.args))

    def leaf(self, node: Node, axis: int) -> Node:
        if node.op == "input":
            raise Promoted(node, Each(axis))
        return self.picked(node, axis)

    def examples(self) -> Node:
        if self.places is None:
            self.places = body_input("examples", Type("i32", (self.size,)))
        return self.places

    def want(self, image: Node) -> None:
        self.wanted.setdefault(image)

    def open(self, node: Node, kind: Kind) -> None:
        """Enters a body input."""
        if isinstance(kind, Each):
            shape = self.shortened(node.shape, kind.axis)
            self.each(node, kind.axis, body_input(node["name"], Type(node.dtype, shape)))
        elif isinstance(kind, Part):
            self.part(node, node)
        else:
            self.kinds[node] = kind

    def given(self, node: Node) -> Node:
        """The input that the body on pieces has for one of the old body."""
        return self.images.get(node, node)


def loop(region: Region, node: Node) -> None:
    if all(isinstance(region.kinds[a], Whole) for a in node.args):
        region.whole(node)
        return
    old = parts(node)
    try:
        body = settled(region, node, old, starting(region, node, old))
    except Early as early:
        raise from_inside(node, old, early) from None
    region.kinds[node] = Whole()
    region.loops[node] = cut_loop(region, node, old, body)


def from_inside(node: Node, loop: Loop, early: Early) -> Early:
    """What the body wants early, as the region around the loop sees it: an operand, or a value of each turn."""
    given = dict(zip((*loop.cuts, *loop.common), (*loop.sliced, *loop.shared), strict=True))
    if not early.loops and early.node in given:
        return Early(given[early.node])
    return Early(early.node, (node, *early.loops))


def get(region: Region, node: Node) -> None:
    """One result of a loop."""
    source = region.loops.get(node.args[0])
    if source is None:
        region.whole(node)
        return
    kind, image = source.results[node["index"]]
    region.kinds[node] = kind
    if image is not None:
        region.images[node] = image
    region.touched.add(node)


def starting(region: Region, node: Node, loop: Loop) -> dict[Node, Kind]:
    """Kinds of the body's inputs, as far as the operands tell."""
    kinds: dict[Node, Kind] = {loop.turn: Whole()}
    for inside, outside in zip((*loop.state, *loop.common), (*loop.inits, *loop.shared), strict=True):
        kinds[inside] = region.kinds[outside]
    for inside, outside in zip(loop.cuts, loop.sliced, strict=True):
        kind = region.kinds[outside]
        if kind == Each(0):
            raise Mixed(node)
        kinds[inside] = Each(kind.axis - 1) if isinstance(kind, Each) else kind
    return kinds


def settled(region: Region, node: Node, loop: Loop, kinds: dict[Node, Kind]) -> Body:
    """The body visited, with kinds of its inputs that hold in every turn."""
    linear, moving = linear_nodes(region, node, loop), moving_nodes(region, loop)
    while True:
        body = Body(region.size, region.count, region.rules, linear=linear, moving=moving)
        for x, kind in kinds.items():
            body.open(x, kind)
        change = changes(body, loop)
        if not change:
            return body
        kinds.update(change)


def changes(body: Body, loop: Loop) -> dict[Node, Kind]:
    """Visits the body; inputs that turn out to be of another kind."""
    states = [(x, out) for x, (_, out) in zip(loop.state, loop.step, strict=True)]
    try:
        body.visit_all(loop.results)
        found = {x: joined(body.kinds[x], body.kinds[out], out) for x, out in states}
        for x, out in states:
            given(body, out, found[x])
    except Promoted as promoted:
        return {promoted.node: promoted.kind}
    return {x: kind for x, kind in found.items() if kind != body.kinds[x]}


def joined(before: Kind, after: Kind, out: Node) -> Kind:
    """What a carried value is, that begins as one kind and is another after a turn."""
    if before == after or after == Whole():
        return before
    if before == Whole():
        return after
    raise Mixed(out)


def linear_nodes(region: Region, node: Node, loop: Loop) -> set[Node]:
    """Nodes of the body below what a gradient is taken of."""
    read = {n["index"] for n in region.linear if n.op == "get" and n.args[0] is node}
    if not read:
        return set()
    return set(order([*(loop.results[i] for i in sorted(read)), *(out for _, out in loop.step)]))


def moving_nodes(region: Region, loop: Loop) -> set[Node]:
    """Nodes of the body that a gradient goes through, as far as one can tell: carried values may be such."""
    pairs = zip((*loop.cuts, *loop.common), (*loop.sliced, *loop.shared), strict=True)
    return moved_by(loop.results, {*loop.state, *(x for x, outside in pairs if outside in region.moving)})


def given(body: Body, out: Node, kind: Kind) -> Node | None:
    """The image of a body's output, as `kind`; None where it waits for totals."""
    if isinstance(kind, Each):
        return body.cut(out, kind.axis, out)
    if isinstance(kind, Part):
        return body.as_part(out, out)
    return None if body.is_after(out) or kind.after else body.image(out, out)


def operand(region: Region, node: Node, outside: Node, kind: Kind, deeper: int) -> Node | None:
    """What the loop on pieces takes for an operand; `deeper`: 1 for a sliced one."""
    if isinstance(kind, Each):
        return region.cut(outside, kind.axis + deeper, node)
    if isinstance(kind, Part):
        return region.as_part(outside, node)
    return None if kind.after else region.image(outside, node)


def cut_loop(region: Region, node: Node, loop: Loop, body: Body) -> CutLoop:
    """The loop on pieces."""
    kinds = body.kinds
    states = [(x, operand(region, node, init, kinds[x], 0), name, given(body, out, kinds[x]))
              for x, init, (name, out) in zip(loop.state, loop.inits, loop.step, strict=True)]  # fmt: skip
    kept = [s for s in states if s[1] is not None]
    stacked = [(name, given(body, out, kinds[out])) for name, out in loop.stacked]
    extra = [(f"part.{i}", image) for i, image in enumerate(body.wanted)]
    cuts = pairs(region, node, body, loop.cuts, loop.sliced, 1)
    common = pairs(region, node, body, loop.common, loop.shared, 0)
    if body.places is not None:
        common.append((body.places, region.examples()))
    new = Loop(
        count=loop.count, reverse=loop.reverse, turn=loop.turn,
        inits=tuple(x for s in kept if (x := s[1]) is not None), state=tuple(body.given(s[0]) for s in kept),
        sliced=tuple(o for _, o in cuts), cuts=tuple(i for i, _ in cuts),
        shared=tuple(o for _, o in common), common=tuple(i for i, _ in common),
        step=tuple((s[2], x) for s in kept if (x := s[3]) is not None),
        stacked=tuple((n, x) for n, x in [*stacked, *extra] if x is not None),
    ).node()  # fmt: skip
    numbered = numbers([s[1] is not None for s in states] + [x is not None for _, x in stacked])
    results = tuple(result(new, body.kinds[x], 0, at) for x, at in zip(loop.state, numbered, strict=False))
    later = numbered[len(loop.state) :]
    results += tuple(result(new, kinds[out], 1, at) for (_, out), at in zip(loop.stacked, later, strict=True))
    first = sum(at is not None for at in numbered)
    totals = {image: first + i for i, image in enumerate(body.wanted)}
    for at in totals.values():
        region.want(regions.get(new, at))
    return CutLoop(new, body, results, totals)


def pairs(
    region: Region, node: Node, body: Body, inside: Sequence[Node], outside: Sequence[Node], deeper: int
) -> list[tuple[Node, Node]]:
    """(body input, operand) of the loop on pieces; those that wait for totals are left out."""
    found = [(body.given(x), operand(region, node, o, body.kinds[x], deeper))
             for x, o in zip(inside, outside, strict=True)]  # fmt: skip
    return [(x, o) for x, o in found if o is not None]


def numbers(kept: Sequence[bool]) -> list[int | None]:
    """New number of each result; None for one that is left out."""
    found: list[int | None] = []
    for keep in kept:
        found.append(sum(at is not None for at in found) if keep else None)
    return found


def result(new: Node, kind: Kind, deeper: int, at: int | None) -> tuple[Kind, Node | None]:
    shifted = Each(kind.axis + deeper) if isinstance(kind, Each) else kind
    return shifted, None if at is None else regions.get(new, at)
