"""The contract's accumulation orders: adjacent tree, row order, column order, argmax.

Takes: float32 arrays whose first axis (or last, where said) is the one folded. Promises: each
element of the result is the one expression tree that ir/contract.py describes, whatever the shape.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jobspec.backends.reference.numbers import Array
from jobspec.ir.contract import LANES, LEAF, ROW_BLOCK, row_ordered

Combine = Callable[[Array, Array], Array]


def larger(a: Array, b: Array) -> Array:
    """max(a, b) of the contract: a > b ? a : b."""
    chosen: Array = np.where(a > b, a, b)
    return chosen


def adjacent_tree(parts: Array, combine: Combine) -> Array:
    """Folds the first axis: pairs (0,1), (2,3), … level by level; an odd last one is carried up unchanged."""
    while len(parts) > 1:
        paired = combine(parts[0:-1:2], parts[1::2])
        parts = np.concatenate([paired, parts[-1:]]) if len(parts) % 2 else paired
    folded: Array = parts[0]
    return folded


def chain(x: Array, combine: Combine, start: Array) -> Array:
    """start ∘ x[0] ∘ x[1] ∘ … in that order along the first axis."""
    acc = start
    for element in x:
        acc = combine(acc, element)
    return acc


def fold_lanes(block: Array, combine: Combine) -> Array:
    """One block in row order; its elements lie along the first axis, at most ROW_BLOCK of them."""
    lanes = block[:LANES].copy()
    for at in range(LANES, len(block), LANES):
        group = block[at : at + LANES]
        lanes[: len(group)] = combine(lanes[: len(group)], group)
    half = LANES // 2
    while half:
        pairs = max(0, min(half, len(lanes) - half))
        lanes[:pairs] = combine(lanes[:pairs], lanes[half : half + pairs])
        half //= 2
    folded: Array = lanes[0]
    return folded


def row_order(x: Array, combine: Combine) -> Array:
    """Folds the first axis in row order."""
    blocks = [fold_lanes(x[at : at + ROW_BLOCK], combine) for at in range(0, len(x), ROW_BLOCK)]
    return adjacent_tree(np.stack(blocks), combine)


def column_order(x: Array, combine: Combine, seed: float | None) -> Array:
    """Folds the first axis in column order; a leaf's chain starts from `seed`, or from its first element."""
    leaves = [x[at : at + LEAF] for at in range(0, len(x), LEAF)]
    if seed is None:
        folded = [chain(leaf[1:], combine, leaf[0]) for leaf in leaves]
    else:
        folded = [chain(leaf, combine, np.full(x.shape[1:], seed, x.dtype)) for leaf in leaves]
    return adjacent_tree(np.stack(folded), combine)


def reduced_first(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` with `axes` (ascending) flattened into one first axis; the kept axes follow in their order."""
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = x.transpose(*axes, *kept)
    return moved.reshape(-1, *(x.shape[i] for i in kept))


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """sum over `axes`."""
    elements = reduced_first(x, axes)
    return row_order(elements, np.add) if row_ordered(x.ndim, axes) else column_order(elements, np.add, 0.0)


def largest(x: Array, axes: tuple[int, ...]) -> Array:
    """reduce_max over `axes`."""
    elements = reduced_first(x, axes)
    return row_order(elements, larger) if row_ordered(x.ndim, axes) else column_order(elements, larger, None)


def argmax(x: Array, axes: tuple[int, ...]) -> Array:
    """Position (i32) of the first element that is greater than all before it; a first NaN is never exceeded."""
    elements = reduced_first(x, axes)
    best, at = elements[0].copy(), np.zeros(elements.shape[1:], np.int32)
    for position, element in enumerate(elements):
        above = element > best
        best, at = np.where(above, element, best), np.where(above, np.int32(position), at)
    return at
