"""Gradient rules of movement: a cotangent is moved back.

Takes: a node `y = op(x…)` and the cotangent g of y. Promises: elements of g return to where they came from;
what was repeated is summed (in the order the op table gives to `sum`), what was left out gets +0.0.
"""

from __future__ import annotations

from jobspec.ir.build import inverse, padded, permute, reshape, slice_axis, sliced
from jobspec.ir.program import Node, make
from jobspec.passes.gradients.products import Cotangents


def reshape_(y: Node, g: Node) -> Cotangents:
    return (reshape(g, y.args[0].shape),)


def permute_(y: Node, g: Node) -> Cotangents:
    return (permute(g, inverse(y["axes"])),)


def broadcast(y: Node, g: Node) -> Cotangents:
    """The sum over the repeated axes; where they all have size 1 there is nothing to add."""
    repeated = tuple(i for i in range(len(y.shape)) if i not in y["axes"])
    if all(y.shape[i] == 1 for i in repeated):
        return (reshape(g, y.args[0].shape),)
    return (make("sum", g, axes=repeated),)


def slice_(y: Node, g: Node) -> Cotangents:
    """Each element back to its place among zeros."""
    size, start, step = y.args[0].shape, y["start"], y["step"]
    ends = [a + (n - 1) * s + 1 for a, n, s in zip(start, y.shape, step, strict=True)]
    high = tuple(n - end for n, end in zip(size, ends, strict=True))
    inner = tuple(s - 1 if n > 1 else 0 for s, n in zip(step, y.shape, strict=True))
    return (padded(g, start, high, inner),)


def flip(y: Node, g: Node) -> Cotangents:
    return (make("flip", g, axes=y["axes"]),)


def pad(y: Node, g: Node) -> Cotangents:
    low, step = y["low"], tuple(gap + 1 for gap in y["inner"])
    stop = tuple(a + (n - 1) * s + 1 for a, n, s in zip(low, y.args[0].shape, step, strict=True))
    return (sliced(g, low, stop, step),)


def concat(y: Node, g: Node) -> Cotangents:
    parts, at, axis = [], 0, y["axis"]
    for x in y.args:
        parts.append(slice_axis(g, axis, at, at + x.shape[axis]))
        at += x.shape[axis]
    return tuple(parts)
