"""Boxes: rectangular parts of a tensor, a half-open span per axis.

Takes: shapes and spans. Promises: plain arithmetic; no box is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.build import sliced
from jobspec.ir.program import Node, make

Span = tuple[int, int]
Box = tuple[Span, ...]


def whole(shape: Sequence[int]) -> Box:
    return tuple((0, n) for n in shape)


def shape_of(box: Box) -> tuple[int, ...]:
    return tuple(last - first for first, last in box)


def with_span(box: Box, axis: int, span: Span) -> Box:
    return (*box[:axis], span, *box[axis + 1 :])


def within(inner: Box, outer: Box) -> bool:
    return all(a >= c and b <= d for (a, b), (c, d) in zip(inner, outer, strict=True))


def overlap(one: Box, other: Box) -> Box | None:
    """What both have; None where that is nothing."""
    both = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return both if all(a < b for a, b in both) else None


def relative(inner: Box, outer: Box) -> Box:
    """`inner` as places of `outer`."""
    return tuple((a - c, b - c) for (a, b), (c, _) in zip(inner, outer, strict=True))


def spans(size: int, parts: int) -> list[Span]:
    """An axis in parts one after another that differ by at most one."""
    return [(size * i // parts, size * (i + 1) // parts) for i in range(parts)]


def cut_out(x: Node, box: Box) -> Node:
    """The part `box` of x."""
    return sliced(x, tuple(a for a, _ in box), tuple(b for _, b in box), (1,) * len(box))


def joined(pieces: Sequence[tuple[Box, Node]]) -> Node:
    """The tensor that the pieces fill, which lie side by side in a grid."""
    if len(pieces) == 1:
        return pieces[0][1]
    rank = len(pieces[0][0])
    axis = next(a for a in range(rank) if len({box[a] for box, _ in pieces}) > 1)
    stripes = [[piece for piece in pieces if piece[0][axis] == span] for span in sorted({b[axis] for b, _ in pieces})]
    return make("concat", *(joined(stripe) for stripe in stripes), axis=axis)
