"""Gradient rules of maps that an index chooses.

Takes: `y = experts(x, w, index)` or the sums of its maps' gradient, and the cotangent g of y. Promises: that of x
sends g back through the same maps, the other way round, and where a token took several maps adds them over these; that
of w sums over each expert's own tokens; nothing flows to the index.
"""

from __future__ import annotations

from jobspec.ir.build import permute
from jobspec.ir.program import Node, make
from jobspec.passes.gradients.products import Cotangents


def experts(y: Node, g: Node) -> Cotangents:
    x, w, index = y.args
    back = per_row(make("experts", g, turned(w), index), x)
    return back, make("expert_sums", x, g, index, size=w.shape[0]), None


def expert_sums(y: Node, g: Node) -> Cotangents:
    x, h, index = y.args
    back = per_row(make("experts", h, turned(g), index), x)
    return back, make("experts", x, g, index), None


def turned(w: Node) -> Node:
    return permute(w, (0, 2, 1))


def per_row(back: Node, x: Node) -> Node:
    """The cotangent of x: summed over the axes of the index that x lacks."""
    own = tuple(range(len(x.shape) - 1, len(back.shape) - 1))
    return make("sum", back, axes=own) if own else back
