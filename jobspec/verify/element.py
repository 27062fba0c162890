"""One element of one operation's value, from its operands: what settles a dispute.

Takes: an operation, its operands' values, an index. Promises: the element that the reference semantics gives, for
folds and elementwise operations at the cost of that element alone: operands are cut to what it depends on, and the
order in which the rest is folded does not depend on what was cut away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobspec.backends.reference.meaning import MEANING, shaped
from jobspec.backends.reference.numbers import Array, canonical
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node

Index = tuple[int, ...]
Cut = tuple[slice, ...]

FOLDS = frozenset({"sum", "reduce_max", "argmax"})
ALL = slice(None)


def element(node: Node, operands: Sequence[Array], index: Index) -> Array:
    """A scalar array. Raises JobspecError E0501 where an index among the operands is outside its axis."""
    cuts = cuts_of(node, index)
    with np.errstate(all="ignore"):
        if cuts is None:
            return scalar(shaped(node, MEANING[node.op](node, *operands))[index])
        return scalar(MEANING[node.op](node, *(x[cut] for x, cut in zip(operands, cuts, strict=True))))


def scalar(value: Array) -> Array:
    return canonical(np.asarray(value)).reshape(())


def cuts_of(node: Node, index: Index) -> list[Cut] | None:
    """What each operand is cut to; None where the operation is done whole."""
    if node.op == "contract":
        return contraction_cuts(node, index)
    if node.op in FOLDS:
        return [fold_cut(node, index)]
    plain = OPS[node.op].has("elementwise") or OPS[node.op].has("library")
    return [tuple(slice(i, i + 1) for i in index) for _ in node.args] if plain else None


def fold_cut(node: Node, index: Index) -> Cut:
    """The folded axes whole, the others at the index."""
    kept = iter(index)
    rank = len(node.args[0].shape)
    return tuple(ALL if axis in node["axes"] else at(next(kept)) for axis in range(rank))


def contraction_cuts(node: Node, index: Index) -> list[Cut]:
    """A row of a, a column of b: result axes are a's that are not summed, in a's order, then b's own."""
    a, b = node.args
    a_kept = [axis for axis in range(len(a.shape)) if axis not in node["a_over"]]
    places = dict(zip(a_kept, index, strict=False))
    b_own = [axis for axis in range(len(b.shape)) if axis not in node["b_over"] and axis not in node["b_batch"]]
    b_places = dict(zip(b_own, index[len(a_kept) :], strict=True))
    b_places |= {axis: places[pair] for axis, pair in zip(node["b_batch"], node["a_batch"], strict=True)}
    return [cut(len(a.shape), places), cut(len(b.shape), b_places)]


def cut(rank: int, places: dict[int, int]) -> Cut:
    return tuple(at(places[axis]) if axis in places else ALL for axis in range(rank))


def at(place: int) -> slice:
    return slice(place, place + 1)
