"""Picking by index: gather and its adjoint scatter_add.

Takes: values, an integer index, the number of shared first axes, the size of the axis picked from.
Promises: an index outside the axis is an error that names where it comes from, never a clamped or wrapped
read; scatter_add takes contributions one after another in ascending flattened position.
"""

from __future__ import annotations

from math import prod

import numpy as np

from jobspec.backends.reference.numbers import Array
from jobspec.ir.errors import JobspecError
from jobspec.ir.program import Node, order


def gather(node: Node, x: Array, index: Array) -> Array:
    """x[b…, A, r…], index[b…, i…] → [b…, i…, r…]."""
    batch = node["batch"]
    refuse_outside(node, index, x.shape[batch])
    groups = prod(x.shape[:batch])
    rows = x.reshape(groups, x.shape[batch], *x.shape[batch + 1 :])
    picks = index.reshape(groups, -1)
    out = rows[np.arange(groups)[:, None], picks]
    return out.reshape(node.shape)


def scatter_add(node: Node, x: Array, index: Array) -> Array:
    """x[b…, i…, r…], index[b…, i…] → [b…, size, r…]: chains from +0.0."""
    batch, size = node["batch"], node["size"]
    refuse_outside(node, index, size)
    groups, rest = prod(index.shape[:batch]), x.shape[index.ndim :]
    values, picks = x.reshape(groups, -1, *rest), index.reshape(groups, -1)
    out = np.zeros((groups, size, *rest), np.float32)
    each = np.arange(groups)
    for position in range(picks.shape[1]):
        out[each, picks[:, position]] += values[:, position]
    return out.reshape(node.shape)


def refuse_outside(node: Node, index: Array, size: int) -> None:
    """Raises E0501 for the first index that is not in 0 … size-1."""
    wrong = np.argwhere((index < 0) | (index >= size))
    if len(wrong) == 0:
        return
    place = tuple(int(i) for i in wrong[0])
    value = int(index[place])
    raise JobspecError(
        "E0501",
        f"index {value} at position {list(place)} of {origin(node.args[-1])} is outside 0 … {size - 1}",
        help="check the data: every index must be smaller than the size of the axis it picks from",
    )


def origin(index: Node) -> str:
    """The inputs an index is computed from, by name."""
    names = [node["name"] for node in order([index]) if node.op == "input"]
    return ", ".join(f"`{name}`" for name in names) or "a constant"
