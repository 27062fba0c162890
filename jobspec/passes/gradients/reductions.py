"""Gradient rules of sums and maxima over axes, and of picking by index.

Takes: a node `y = op(x…)` and the cotangent g of y. Promises: a maximum's gradient goes to its first largest
element alone; a pick of one element per row gives its gradient by comparison, any other by scatter_add.
"""

from __future__ import annotations

from math import prod

from jobspec.ir.build import broadcast, reshape
from jobspec.ir.program import Node, make
from jobspec.passes.gradients.products import Cotangents, where

Ints = tuple[int, ...]


def kept(rank: int, axes: Ints) -> Ints:
    return tuple(i for i in range(rank) if i not in axes)


def sum_(y: Node, g: Node) -> Cotangents:
    (x,) = y.args
    return (broadcast(g, x.shape, kept(len(x.shape), y["axes"])),)


def reduce_max(y: Node, g: Node) -> Cotangents:
    (x,), axes = y.args, y["axes"]
    others = kept(len(x.shape), axes)
    first = broadcast(make("argmax", x, axes=axes), x.shape, others)
    hit = make("eq", flat_position(x.shape, axes), first)
    return (where(hit, broadcast(g, x.shape, others)),)


def flat_position(shape: Ints, axes: Ints) -> Node:
    """For each element of a tensor of `shape`, its row-major position within `axes` (i32)."""
    sizes = tuple(shape[i] for i in axes)
    return broadcast(reshape(make("iota", size=prod(sizes)), sizes), shape, axes)


def gather(y: Node, g: Node) -> Cotangents:
    x, index = y.args
    if len(index.shape) == y["batch"]:
        return one_pick(y, g), None
    return make("scatter_add", g, index, batch=y["batch"], size=x.shape[y["batch"]]), None


def one_pick(y: Node, g: Node) -> Node:
    """g at the picked place of axis A of x[b…, A, r…], where the index is [b…]; +0.0 elsewhere."""
    (x, index), axis = y.args, y["batch"]
    place = flat_position(x.shape, (axis,))
    if index.dtype != "i32":
        place = make("bitcast", place, dtype=index.dtype)
    hit = make("eq", place, broadcast(index, x.shape, tuple(range(axis))))
    return where(hit, broadcast(g, x.shape, kept(len(x.shape), (axis,))))


def scatter_add(y: Node, g: Node) -> Cotangents:
    return make("gather", g, y.args[1], batch=y["batch"]), None
