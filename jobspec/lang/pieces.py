"""The batch in pieces: one body that is run for each piece, and the tree that folds what it gives.

Takes: nodes that a piece may read (whole, or cut along the axis of the examples) and nodes in terms of them. Promises:
totals over all pieces, folded by the adjacent balanced tree. A power of two is a nest of loops of two turns, whose
carried value is `first turn ? x : carried + x`; any other number is the sum of its powers of two, largest first, folded
from the last. So the program is as long for 1024 pieces as its ten loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobspec.ir.build import broadcast, full, inverse, permute, reshape, slice_axis, zeros
from jobspec.ir.program import Node, make
from jobspec.ir.program import replace as substituted
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type


@dataclass(eq=False)
class Piece:
    """The body for one of `count` pieces of a batch of `batch` examples. `cuts`, `common`: body input → what it is
    outside, examples first; `wanted`: what the body gives."""

    batch: int
    count: int
    cuts: dict[Node, Node] = field(default_factory=dict)
    common: dict[Node, Node] = field(default_factory=dict)
    wanted: dict[Node, None] = field(default_factory=dict)
    inputs: dict[tuple[Node, int], Node] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Examples of a piece."""
        return self.batch // self.count

    def share(self, node: Node) -> Node:
        """`node`, whole, as the body sees it."""
        key = (node, -1)
        if key not in self.inputs:
            inside = self.inputs[key] = body_input(f"common.{len(self.common)}", node.type)
            self.common[inside] = node
        return self.inputs[key]

    def cut(self, node: Node, axis: int) -> Node:
        """The piece's part of `node`, whose `axis` counts the examples."""
        key = (node, axis)
        if key not in self.inputs:
            front = (axis, *(i for i in range(len(node.shape)) if i != axis))
            outside = permute(node, front)
            inside = body_input(f"cut.{len(self.cuts)}", Type(node.dtype, (self.size, *outside.shape[1:])))
            self.cuts[inside] = outside
            self.inputs[key] = permute(inside, inverse(front))
        return self.inputs[key]

    def examples(self) -> Node:
        """Places in the batch of the piece's examples (i32)."""
        return self.cut(make("iota", size=self.batch), 0)

    def want(self, node: Node) -> None:
        """`node` of the body is to be folded over the pieces."""
        self.wanted.setdefault(node)

    def totals(self) -> dict[Node, Node]:
        """Wanted node → its sum over the pieces."""
        blocks = [self.block(start, depth) for start, depth in powers(self.count)]
        folded = blocks[-1]
        for block in reversed(blocks[:-1]):
            folded = [make("add", a, b) for a, b in zip(block, folded, strict=True)]
        return dict(zip(self.wanted, folded, strict=True))

    def block(self, start: int, depth: int) -> list[Node]:
        """Sums over the 2^depth pieces from `start` on."""
        first, last = start * self.size, (start + (1 << depth)) * self.size
        cut = {inside: slice_axis(outside, 0, first, last) for inside, outside in self.cuts.items()}
        return folded(list(self.wanted), cut, self.common, depth)


def powers(count: int) -> list[tuple[int, int]]:
    """(first piece, exponent) of the powers of two that make up `count`, largest first."""
    found, start = [], 0
    for depth in reversed(range(count.bit_length())):
        if count >> depth & 1:
            found.append((start, depth))
            start += 1 << depth
    return found


def folded(wanted: Sequence[Node], cut: Mapping[Node, Node], common: Mapping[Node, Node], depth: int) -> list[Node]:
    """Sums of `wanted` over 2^depth pieces; `cut`, `common`: body input → operand here."""
    if depth == 0:
        return substituted(wanted, {**cut, **common})
    halves = [reshape(x, (2, x.shape[0] // 2, *x.shape[1:])) for x in cut.values()]
    here = [body_input(f"half{depth}.{i}", Type(x.dtype, x.shape[1:])) for i, x in enumerate(halves)]
    whole = [body_input(f"whole{depth}.{i}", x.type) for i, x in enumerate(common.values())]
    sums = [body_input(f"sum{depth}.{i}", x.type) for i, x in enumerate(wanted)]
    turn = body_input(f"turn{depth}", Type("i32"))
    inner = folded(wanted, dict(zip(cut, here, strict=True)), dict(zip(common, whole, strict=True)), depth - 1)
    first = make("eq", turn, zeros(turn.type))
    steps = [joined(first, total, x) for total, x in zip(sums, inner, strict=True)]
    loop = Loop(
        count=2, reverse=False, turn=turn, inits=tuple(zeros(x.type) for x in sums), state=tuple(sums),
        sliced=tuple(halves), cuts=tuple(here), shared=tuple(common.values()), common=tuple(whole),
        step=tuple((f"next.{i}", x) for i, x in enumerate(steps)), stacked=(),
    ).node()  # fmt: skip
    return [get(loop, i) for i in range(len(wanted))]


def joined(first: Node, total: Node, x: Node) -> Node:
    """`x` itself in the first turn, so that not even the sign of a zero changes; then total + x."""
    return make("select", broadcast(first, x.shape, ()), x, make("add", total, x))


def share_of(x: Node, count: int) -> Node:
    """x / count."""
    return make("div", x, full(x.type, float(count)))
