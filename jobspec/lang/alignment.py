"""Elementwise operands brought to one shape by the names of their axes (rules 2 and 3 of the language).

Takes: tensors, and the axes that the statement states for its result, if it does. Promises: nodes of equal shape and
the axes they have; legal when one operand has all axes of the others (its order is the result's), or when the statement
names the result's axes. Permutes and broadcasts are inserted here and nowhere else; there is no size-1 broadcasting.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.program import Node, make
from jobspec.lang.refusal import Refusal
from jobspec.lang.values import Axes, Tensor, described, origins


def align(operands: Sequence[Tensor], stated: Axes | None = None) -> tuple[list[Node], Tensor]:
    """Nodes of one shape, one per operand, and a tensor whose axes, arrow and origins the result takes over."""
    check_sizes(operands)
    first = operands[0]
    if all(t.axes == first.axes for t in operands):
        return [t.node for t in operands], with_origins(first, operands)
    check_single(operands)
    axes = joint_axes(operands, stated)
    sizes = {axis: n for t in operands for axis, n in zip(t.axes, t.node.shape, strict=True)}
    shape = tuple(sizes[axis] for axis in axes)
    nodes = [spread(t, axes, shape) for t in operands]
    return nodes, like(axes, nodes[0], operands)


def joint_axes(operands: Sequence[Tensor], stated: Axes | None) -> Axes:
    """Axes of the result, in order. Refuses E0212 where no operand has them all and none are stated."""
    widest = max(operands, key=lambda t: len(t.axes))
    union = {axis for t in operands for axis in t.axes}
    if union == set(widest.axes):
        return widest.axes
    if stated is not None and union <= set(stated):
        return tuple(axis for axis in stated if axis in union)
    raise every_pair(operands, widest)


def every_pair(operands: Sequence[Tensor], widest: Tensor) -> Refusal:
    other = next(t for t in operands if not set(t.axes) <= set(widest.axes))
    mine = next(axis for axis in widest.axes if axis not in other.axes)
    theirs = next(axis for axis in other.axes if axis not in widest.axes)
    entered = origins(*operands)
    notes = tuple(f"{a} entered with {entered[a].what}" for a in (mine, theirs) if a in entered)
    union = dict.fromkeys([*widest.axes, *other.axes])
    return Refusal(
        "E0212",
        f"this would pair every {mine} with every {theirs}",
        parts=tuple((i, f"axes: {described(t)}") for i, t in enumerate(operands) if t.axes),
        notes=notes,
        help=f"{rename_of(widest, other, mine, theirs)}; if all pairs are meant, state the "
        f"result: `name: {' '.join(union)} = …`",
    )


def rename_of(widest: Tensor, other: Tensor, mine: str, theirs: str) -> str:
    """The rename that was forgotten, most probably: one side has T and T', the other T alone."""
    for full, lacking in ((widest, other), (other, widest)):
        for axis in full.axes:
            base = axis.rstrip("'")
            if axis != base and base in full.axes and axis not in lacking.axes and base in lacking.axes:
                return f"if one value was to have {axis}, rename it before: `[{base}->{axis}]`"
    return f"if both count the same, rename: `[{theirs}->{mine}]`"


def check_sizes(operands: Sequence[Tensor]) -> None:
    """Shared axes have one size. Refuses E0211."""
    seen: dict[str, tuple[int, int]] = {}
    for i, t in enumerate(operands):
        for axis, size in zip(t.axes, t.node.shape, strict=True):
            j, known = seen.setdefault(axis, (i, size))
            if known != size:
                raise Refusal(
                    "E0211",
                    f"{axis} has two sizes here: {known} and {size}",
                    parts=((j, f"axes: {described(operands[j])}"), (i, f"axes: {described(t)}")),
                    help=f"slice the longer one, as in `[{axis}: ..{min(known, size)}]`, or rename its axis",
                )


def check_single(operands: Sequence[Tensor]) -> None:
    """A linear map with one axis on both sides meets only its like."""
    for t in operands:
        for axis in t.axes:
            t.position(axis)


def spread(t: Tensor, axes: Axes, shape: tuple[int, ...]) -> Node:
    """`t` repeated along the axes it lacks, in the order of `axes`."""
    node = reorder(t, tuple(axis for axis in axes if axis in t.axes))
    if node.shape == shape and len(t.axes) == len(axes):
        return node
    places = tuple(i for i, axis in enumerate(axes) if axis in t.axes)
    return make("broadcast", node, shape=shape, axes=places)


def reorder(t: Tensor, axes: Axes) -> Node:
    """`t` with its axes stored in the order `axes`, a permutation of them."""
    places = t.positions(axes)
    return t.node if places == tuple(range(len(axes))) else make("permute", t.node, axes=places)


def ordered(t: Tensor, axes: Axes) -> Tensor:
    return Tensor(reorder(t, axes), axes, entered=t.entered)


def like(axes: Axes, node: Node, operands: Sequence[Tensor]) -> Tensor:
    """A tensor with `axes`, with the arrow of the operand that has just these axes."""
    arrow = next((t for t in operands if t.axes == axes and t.is_map), None)
    left, right = (arrow.left, arrow.right) if arrow else (0, 0)
    return Tensor(node, axes, left, right, origins(*operands))


def with_origins(first: Tensor, operands: Sequence[Tensor]) -> Tensor:
    return like(first.axes, first.node, operands)


def widen(t: Tensor, axes: Axes, sizes: dict[str, int]) -> Tensor:
    """`t` in the order of `axes`, repeated along those it lacks (`sizes` tells their sizes)."""
    known = {axis: t.size(axis) if axis in t.axes else sizes[axis] for axis in axes}
    node = spread(t, axes, tuple(known[axis] for axis in axes))
    return Tensor(node, axes, t.left if t.axes == axes else 0, t.right if t.axes == axes else 0, t.entered)
