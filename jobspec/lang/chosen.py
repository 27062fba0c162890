"""`x @ w[E: e]`: each value goes through the map that its index chooses.

Takes: a value and a gathered map. Promises: the same bits as gathering a map for each value and contracting, without
ever making these maps; None where the bracket is more than a choice of whole maps, and the plain contraction serves.
"""

from __future__ import annotations

from math import prod

from jobspec.ir.build import permute, reshape
from jobspec.ir.program import make
from jobspec.lang.alignment import ordered, spread
from jobspec.lang.values import Axes, Tensor, floats, origins


def through_chosen(x: Tensor, w: Tensor) -> Tensor | None:
    """`x @ w` where w is `maps[E: ids]` and nothing else; w's axes left of the arrow are x's."""
    if w.node.op != "gather" or w.node["batch"] != 0 or w.node.dtype != "f32":
        return None
    maps, ids = w.node.args
    chosen = w.axes[: len(ids.shape)]
    if not chosen or w.stacked != chosen or ids.dtype != "i32" or any(axis in w.from_axes for axis in chosen):
        return None
    over = tuple(axis for axis in x.axes if axis in w.from_axes)
    kept = tuple(axis for axis in x.axes if axis not in over)
    if any(axis in kept or axis in chosen for axis in w.to_axes) or not over:
        return None
    index = spread_index(Tensor(ids, chosen), x, kept)
    left = ordered(floats(x), (*kept, *over)).node
    places = [w.from_axes.index(axis) for axis in over]
    turned = permute(maps, (0, *(1 + i for i in places), *range(1 + w.left, len(maps.shape))))
    size = prod(x.size(axis) for axis in over)
    rows = reshape(left, (*left.shape[: len(kept)], size))
    node = make("experts", rows, reshape(turned, (maps.shape[0], size, prod(maps.shape[1 + w.left :]))), index.node)
    outputs = tuple(w.size(axis) for axis in w.to_axes)
    axes: Axes = (*index.axes, *w.to_axes)
    return Tensor(reshape(node, (*index.node.shape, *outputs)), axes, entered=origins(x, w))


def spread_index(ids: Tensor, x: Tensor, kept: Axes) -> Tensor:
    """The index with all the axes that x keeps, these first."""
    own = tuple(axis for axis in ids.axes if axis not in kept)
    axes = (*kept, *own)
    shape = tuple(ids.size(axis) if axis in ids.axes else x.size(axis) for axis in axes)
    return Tensor(spread(ids, axes, shape), axes)
