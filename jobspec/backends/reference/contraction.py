"""Contraction: sums of products in the contract's order, each element one chain of fused multiply-adds.

Takes: two float32 arrays and the paired axes. Promises: C[b, m, n] folds k ascending in leaves of LEAF
from +0.0 with fma32's bits, and leaves by the adjacent tree. Tiling here is for speed and changes no bit.
"""

from __future__ import annotations

from math import prod

import numpy as np

from jobspec.backends.reference.numbers import Array
from jobspec.backends.reference.reductions import adjacent_tree
from jobspec.backends.reference.rounding import fma32, possible_tie
from jobspec.ir.contract import LEAF

#: elements accumulated together: small enough that the float64 temporaries stay in cache
TILE = 1 << 14

Axes = tuple[int, ...]


def contract(a: Array, b: Array, a_over: Axes, b_over: Axes, a_batch: Axes, b_batch: Axes) -> Array:
    """Sums a·b over paired axes; result axes: a's that are not summed, in a's order, then b's own."""
    rows = [i for i in range(a.ndim) if i not in a_over and i not in a_batch]
    columns = [j for j in range(b.ndim) if j not in b_over and j not in b_batch]
    left = _grouped(a, list(a_batch), rows, list(a_over))
    right = _grouped(b, list(b_batch), list(b_over), columns)
    out = multiply(left, right).reshape([a.shape[i] for i in (*a_batch, *rows)] + [b.shape[j] for j in columns])
    kept = sorted((*a_batch, *rows))
    order = [(*a_batch, *rows).index(i) for i in kept]
    return out.transpose(*order, *range(len(kept), out.ndim))


def _grouped(x: Array, *groups: list[int]) -> Array:
    """`x` with its axes gathered into one axis per group."""
    moved = x.transpose([axis for group in groups for axis in group])
    return moved.reshape([prod(x.shape[axis] for axis in group) for group in groups])


def multiply(a: Array, b: Array) -> Array:
    """a[batch, m, k] · b[batch, k, n] → [batch, m, n]."""
    depth = a.shape[2]
    cuts = [(at, min(at + LEAF, depth)) for at in range(0, max(depth, 1), LEAF)]
    leaves = [leaf(a[:, :, start:stop], b[:, start:stop]) for start, stop in cuts]
    return adjacent_tree(np.stack(leaves), np.add)


def chained(total: Array, a: Array, b: Array, steps: int) -> Array:
    """`total` [batch, m, n] and then leaves of `steps`, added one after another."""
    for at in range(0, a.shape[2], steps):
        total = total + leaf(a[:, :, at : at + steps], b[:, at : at + steps])
    return total


def leaf(a: Array, b: Array) -> Array:
    """One leaf of `multiply`, tile by tile."""
    (batch, m, _), n = a.shape, b.shape[2]
    out = np.empty((batch, m, n), np.float32)
    rows = max(1, min(m, TILE // n))
    some = max(1, TILE // (rows * n))
    for first in range(0, batch, some):
        for row in range(0, m, rows):
            part = np.s_[first : first + some, row : row + rows]
            out[part] = products(a[part], b[first : first + some])
    return out


def products(a: Array, b: Array) -> Array:
    """The chains acc = fma(a, b, acc) from +0.0 over k ascending, of one tile."""
    left = np.ascontiguousarray(a.transpose(2, 0, 1)[..., None], np.float64)
    right = np.ascontiguousarray(b.transpose(1, 0, 2)[:, :, None, :], np.float64)
    acc = np.zeros((*a.shape[:2], b.shape[2]))
    for x, y in zip(left, right, strict=True):
        acc = fused(x, y, x * y + acc, acc)
    return acc.astype(np.float32)


def fused(x: Array, y: Array, near: Array, acc: Array) -> Array:
    """fma32(x, y, acc) as float64, given `near`: the sum rounded to float64.

    Where rounding `near` once more to float32 may differ from one rounding, fma32 decides.
    """
    rounded = near.astype(np.float32).astype(np.float64)
    doubtful = possible_tie(near)
    if doubtful.any():
        narrow = [np.broadcast_to(v, near.shape)[doubtful].astype(np.float32) for v in (x, y, acc)]
        rounded[doubtful] = fma32(*narrow)
    return rounded
