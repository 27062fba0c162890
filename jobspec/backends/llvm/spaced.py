"""Elements a few places apart, read as whole vectors and picked out of them.

Takes: a pointer, the elements' distance. Promises: as a gather of constant offsets, but nothing is read past the last
element. Gathers take an access for each lane; two vectors and a permutation do as well where lanes are near.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.scope import WIDTH
from jobspec.backends.llvm.values import SIZES, Value, prefix_mask, vector

#: the largest distance: all lanes lie in two pairs of vectors then
FURTHEST = 4


def spaced(f: Function, type_: str, pointer: Value, step: int, count: int) -> Value:
    """`count` elements of `type_`, `step` apart; lanes behind them repeat the last. 1 < step <= FURTHEST."""
    wanted = [min(i, count - 1) * step for i in range(WIDTH)]
    found = [_read(f, type_, pointer, at, wanted[-1] + 1 - at) for at in range(0, wanted[-1] + 1, WIDTH)]
    pairs = [_picked(f, found[i : i + 2], [at - WIDTH * i for at in wanted]) for i in range(0, len(found), 2)]
    if len(pairs) == 1:
        return pairs[0]
    return f.shuffle(pairs[0], pairs[1], [i + WIDTH * (at >= 2 * WIDTH) for i, at in enumerate(wanted)])


def _read(f: Function, type_: str, pointer: Value, at: int, left: int) -> Value:
    """The vector from element `at` on, of which `left` exist."""
    whole, where = vector(type_, WIDTH), f.offset(pointer, at * SIZES[type_])
    return f.load(whole, where) if left >= WIDTH else f.masked_load(whole, where, prefix_mask(left, WIDTH))


def _picked(f: Function, both: Sequence[Value], wanted: Sequence[int]) -> Value:
    """Lanes `wanted` of one vector or two; any value where they are in neither."""
    inside = [at if 0 <= at < len(both) * WIDTH else -1 for at in wanted]
    return f.shuffle(both[0], both[-1], inside)
