"""Sums over an axis that is cut: sums of aligned leaves, folded by the contract's own tree.

Takes: a contraction or a sum over columns, the layouts of its operands. Promises: parts that are whole subtrees of the
adjacent tree over leaves of 256 (docs/numerics.md, 5.2 and 5.4), each computed where its operands lie, and the order in
which they are folded. None where a position's stretches of what is folded are not made of whole leaves, or where less
is moved if the operands are brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeVar

from jobspec.ir.contract import LEAF
from jobspec.ir.program import Node, make
from jobspec.passes.split.boxes import cut_out, whole, with_span
from jobspec.passes.split.layouts import Grid, Layout, least_moved

T = TypeVar("T")
#: something of one position, or of none where it is made of what several have
Owned = tuple[T, int | None]
#: subtrees that a sum is taken apart into, at most
MOST = 512


@dataclass(frozen=True)
class Parts:
    """`each` subtrees on each of `positions` along the mesh axis `over`; a subtree is so many `rows` of the axis that
    is cut, for one place of the folded axes before it. `axes`: of each operand the folded axes up to that one, `before`
    the sizes of those before it."""

    over: str
    axes: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]
    positions: int
    each: int
    rows: int

    @property
    def owners(self) -> list[int]:
        """Whose the subtrees are, in the tree's order."""
        return [i // self.each for i in range(self.positions * self.each)] * prod(self.before)

    @property
    def moved(self) -> int:
        """Results of the sum's size that move: what is folded across positions."""
        top: list[int] = []

        def fold(a: Owned[int], b: Owned[int]) -> Owned[int]:
            if a[1] == b[1] and a[1] is not None:
                return a
            top.extend(owner for _, owner in (a, b) if owner is not None)
            return 0, None

        folded([(owner, owner) for owner in self.owners], fold)
        return len(top)

    def nodes(self, node: Node) -> list[tuple[Node, int]]:
        """The subtrees, as sums over parts of the operands, and whose they are."""
        places = product(*(range(n) for n in self.before), range(self.positions * self.each))
        return [(self.subtree(node, at), owner) for at, owner in zip(places, self.owners, strict=True)]

    def subtree(self, node: Node, at: Sequence[int]) -> Node:
        args = (self.part(x, axes, at) for x, axes in zip(node.args, self.axes, strict=True))
        return make(node.op, *args, **dict(node.attrs))

    def part(self, x: Node, axes: Sequence[int], at: Sequence[int]) -> Node:
        box, sizes = whole(x.shape), [1] * len(self.before) + [self.rows]
        for axis, i, n in zip(axes, at, sizes, strict=True):
            box = with_span(box, axis, (i * n, (i + 1) * n))
        return cut_out(x, box)


def folded(parts: Sequence[Owned[T]], fold: Callable[[Owned[T], Owned[T]], Owned[T]]) -> Owned[T]:
    """The adjacent tree: neighbours level by level, an odd last one is carried up."""
    while len(parts) > 1:
        pairs = [fold(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + list(parts[len(pairs) * 2 :])
    return parts[0]


def parts_of(node: Node, given: Sequence[Layout], grid: Grid) -> Parts | None:
    """How a sum is taken apart along one axis of the mesh; of several, the one that saves most."""
    found: list[tuple[int, Parts]] = []
    for parts in candidates(node, given, grid):
        instead = least_moved(node, list(given), {parts.over: parts.positions})
        found.append((instead - parts.moved * node.type.size, parts))
    saved, best = max(found, key=lambda one: one[0], default=(0, None))
    return best if saved > 0 else None


def candidates(node: Node, given: Sequence[Layout], grid: Grid) -> Iterator[Parts]:
    """For each axis of the mesh over which nothing but a folded axis is cut."""
    folds = folded_axes(node)
    for over, positions in grid.items():
        cut = {axes.index(layout[over]) if layout[over] in axes else -1
               for layout, axes in zip(given, folds, strict=True) if over in layout} if folds else set()  # fmt: skip
        if len(cut) == 1 and -1 not in cut and positions > 1:
            parts = aligned(node, folds, over, positions, *cut)
            if parts is not None:
                yield parts


def folded_axes(node: Node) -> tuple[tuple[int, ...], ...]:
    """Of each operand the axes that are folded in leaves, outermost first; none where they are not."""
    if node.op == "contract":
        return tuple(node["a_over"]), tuple(node["b_over"])
    if node.op == "sum" and is_column(node):
        return (tuple(sorted(node["axes"])),)
    return ()


def is_column(node: Node) -> bool:
    """Whether a sum is over other axes than the last ones."""
    rank = len(node.args[0].shape)
    return sorted(node["axes"]) != list(range(rank - len(node["axes"]), rank))


def aligned(node: Node, folds: tuple[tuple[int, ...], ...], over: str, positions: int, cut: int) -> Parts | None:
    """Along folded axis number `cut`."""
    sizes = [node.args[0].shape[axis] for axis in folds[0]]
    rows, inner = sizes[cut] // positions, prod(sizes[cut + 1 :])
    if rows * positions != sizes[cut] or rows * inner % LEAF:
        return None
    leaves = rows * inner // LEAF
    subtree = leaves & -leaves
    if rows * subtree % leaves or positions * leaves // subtree * prod(sizes[:cut]) > MOST:
        return None
    axes, before = tuple(axes[: cut + 1] for axes in folds), tuple(sizes[:cut])
    return Parts(over, axes, before, positions, leaves // subtree, rows * subtree // leaves)
