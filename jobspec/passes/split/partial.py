"""Contractions over an axis that is cut: sums of aligned leaves, folded by the contract's own tree.

Takes: a contraction, the layouts of its operands. Promises: parts that are whole subtrees of the adjacent tree over
leaves of 256 (docs/numerics.md, 5.2), each computed where its operands lie, and the order in which they are folded.
None where a position's stretch of the contracted axes is not made of whole leaves: then the operands are brought
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from jobspec.ir.build import slice_axis
from jobspec.ir.contract import LEAF
from jobspec.ir.program import Node, make
from jobspec.passes.split.layouts import Grid, Layout

T = TypeVar("T")
#: something of one position, or of none where it is made of what several have
Owned = tuple[T, int | None]


@dataclass(frozen=True)
class Parts:
    """`each` subtrees on each of `positions` along the mesh axis `over`; a subtree is so many `rows` of the first
    contracted axis."""

    over: str
    positions: int
    each: int
    rows: int

    @property
    def moved(self) -> int:
        """Results of the contraction's size that move: what is folded across positions."""
        top: list[int] = []

        def fold(a: Owned[int], b: Owned[int]) -> Owned[int]:
            if a[1] == b[1] and a[1] is not None:
                return a
            top.extend(owner for _, owner in (a, b) if owner is not None)
            return 0, None

        folded([(i, i // self.each) for i in range(self.positions * self.each)], fold)
        return len(top)

    def nodes(self, node: Node) -> list[tuple[Node, int]]:
        """The subtrees, as contractions of parts of the operands, and whose they are."""
        (a, b), attrs = node.args, dict(node.attrs)
        found: list[tuple[Node, int]] = []
        for i in range(self.positions * self.each):
            first, last = i * self.rows, (i + 1) * self.rows
            left = slice_axis(a, first_of(node), first, last)
            right = slice_axis(b, node["b_over"][0], first, last)
            found.append((make("contract", left, right, **attrs), i // self.each))
        return found


def first_of(node: Node) -> int:
    axis: int = node["a_over"][0]
    return axis


def folded(parts: Sequence[Owned[T]], fold: Callable[[Owned[T], Owned[T]], Owned[T]]) -> Owned[T]:
    """The adjacent tree: neighbours level by level, an odd last one is carried up."""
    while len(parts) > 1:
        pairs = [fold(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + list(parts[len(pairs) * 2 :])
    return parts[0]


def parts_of(node: Node, given: Sequence[Layout], grid: Grid) -> Parts | None:
    """How a contraction is summed in parts: over one axis of the mesh, which cuts no other axis of its operands."""
    if not node["a_over"]:
        return None
    wanted = (first_of(node), node["b_over"][0])
    for over, positions in grid.items():
        cut = [layout == {over: axis} for layout, axis in zip(given, wanted, strict=True)]
        if any(cut) and all(c or not layout for c, layout in zip(cut, given, strict=True)):
            return aligned(node, over, positions)
    return None


def aligned(node: Node, over: str, positions: int) -> Parts | None:
    shape = node.args[0].shape
    inner = prod(shape[axis] for axis in node["a_over"][1:])
    rows = shape[first_of(node)] // positions
    if rows * positions != shape[first_of(node)] or rows * inner % LEAF:
        return None
    leaves = rows * inner // LEAF
    subtree = leaves & -leaves
    return Parts(over, positions, leaves // subtree, rows * subtree // leaves) if rows * subtree % leaves == 0 else None
