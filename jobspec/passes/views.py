"""Strided views: where the elements of a moved tensor lie in the tensor they come from.

Takes: a node. Promises: `trace` follows movement operations down to the node that owns the memory (its
base) and says how every axis walks over it; where a movement cannot be said in strides (a reshape of
a permuted tensor) its operand is the base and has to be copied into memory. No element moves here.

An axis is a tuple of digits (size, stride), the last one fastest: splitting and merging axes keeps
them as they are, so a kernel can be given one loop per digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from jobspec.ir.program import Node
from jobspec.ir.types import row_major

Digit = tuple[int, int]
Digits = tuple[Digit, ...]


@dataclass(frozen=True, slots=True)
class Strided:
    """Element of `base` (dense, row-major): offset + Σ stride * position over all digits of all axes."""

    base: Node
    offset: int
    axes: tuple[Digits, ...]


def dense(base: Node) -> Strided:
    """`base` as it lies in memory."""
    return Strided(base, 0, dense_axes(base.shape))


@lru_cache(maxsize=1 << 14)
def dense_axes(shape: tuple[int, ...]) -> tuple[Digits, ...]:
    """The axes of a tensor of `shape` that lies row by row."""
    return tuple(tidy(((n, s),)) for n, s in zip(shape, row_major(shape), strict=True))


def tidy(digits: Digits) -> Digits:
    """The same walk with as few digits as possible."""
    result: list[Digit] = []
    for size, stride in digits:
        if size == 1:
            continue
        if result and result[-1][1] == size * stride:
            result[-1] = (result[-1][0] * size, stride)
        else:
            result.append((size, stride))
    return tuple(result)


def trace(node: Node, copied: frozenset[Node] = frozenset()) -> Strided:
    """How `node` lies in the memory of its base: a node that is no movement, one of `copied`, or the operand of
    a movement that strides cannot say."""
    chain: list[Node] = []
    while node.op in MOVES and node not in copied:
        chain.append(node)
        node = node.args[0]
    view = dense(node)
    for movement in reversed(chain):
        view = moved(view, movement)
    return view


def moved(view: Strided, node: Node) -> Strided:
    """`view` after the movement `node`, whose operand is the base where strides cannot say it."""
    return MOVES[node.op](view, node) or said(MOVES[node.op](dense(node.args[0]), node))


def said(view: Strided | None) -> Strided:
    """A movement of a dense tensor can always be said in strides."""
    assert view is not None
    return view


def follow(view: Strided, moves: list[Node]) -> Strided | None:
    """`view` after movement operations, innermost first; None where strides cannot say it."""
    result: Strided | None = view
    for move in moves:
        result = MOVES[move.op](result, move) if result is not None else None
    return result


def move_permute(view: Strided, node: Node) -> Strided:
    return Strided(view.base, view.offset, tuple(view.axes[a] for a in node["axes"]))


def move_broadcast(view: Strided, node: Node) -> Strided:
    placed = dict(zip(node["axes"], view.axes, strict=True))
    return Strided(view.base, view.offset, tuple(placed.get(i, tidy(((n, 0),))) for i, n in enumerate(node.shape)))


def move_flip(view: Strided, node: Node) -> Strided:
    flipped = [view.axes[a] for a in node["axes"]]
    offset = view.offset + sum((n - 1) * s for digits in flipped for n, s in digits)
    axes = tuple(tuple((n, -s) for n, s in d) if i in node["axes"] else d for i, d in enumerate(view.axes))
    return Strided(view.base, offset, axes)


def move_slice(view: Strided, node: Node) -> Strided | None:
    offset, axes = view.offset, []
    spans = zip(view.axes, node.args[0].shape, node["start"], node["stop"], node["step"], strict=True)
    for digits, size, start, stop, step in spans:
        cut = cut_digits(digits, size, start, stop, step)
        if cut is None:
            return None
        offset += cut[0]
        axes.append(cut[1])
    return Strided(view.base, offset, tuple(axes))


def cut_digits(digits: Digits, size: int, start: int, stop: int, step: int) -> tuple[int, Digits] | None:
    """(offset, digits) of positions start, start+step, … below stop; None where they are not a walk."""
    if (start, stop, step) == (0, size, 1):
        return 0, digits
    count = -(-(stop - start) // step)
    if count == 1:
        return position(digits, start), ()
    if len(digits) == 1:
        return start * digits[0][1], ((count, digits[0][1] * step),)
    inner = size // digits[0][0]
    if step == 1 and start % inner == 0 and stop % inner == 0:
        return start // inner * digits[0][1], tidy((((stop - start) // inner, digits[0][1]), *digits[1:]))
    return None


def position(digits: Digits, index: int) -> int:
    """Offset of one position of an axis."""
    offset = 0
    for size, stride in reversed(digits):
        index, digit = divmod(index, size)
        offset += digit * stride
    return offset


def move_window(view: Strided, node: Node) -> Strided | None:
    axes, inside = list(view.axes), []
    for axis, size, step in zip(node["axes"], node["sizes"], node["strides"], strict=True):
        if len(axes[axis]) > 1:
            return None
        stride = axes[axis][0][1] if axes[axis] else 0
        axes[axis] = tidy(((node.shape[axis], stride * step),))
        inside.append(tidy(((size, stride),)))
    last = node["axes"][-1] + 1
    return Strided(view.base, view.offset, (*axes[:last], *inside, *axes[last:]))


def move_reshape(view: Strided, node: Node) -> Strided | None:
    flat = list(tidy(tuple(d for digits in view.axes for d in digits)))
    axes: list[Digits] = []
    for size in reversed(node.shape):
        taken = take(flat, size)
        if taken is None:
            return None
        axes.append(tidy(taken))
    return Strided(view.base, view.offset, tuple(reversed(axes)))


def take(flat: list[Digit], size: int) -> Digits | None:
    """Take the fastest digits off `flat` until they make an axis of `size`, splitting the last where it must."""
    taken: list[Digit] = []
    while size > 1:
        count, stride = flat.pop()
        if size % count == 0:
            taken.append((count, stride))
            size //= count
        elif count % size == 0:
            taken.append((size, stride))
            flat.append((count // size, stride * size))
            size = 1
        else:
            return None
    return tuple(reversed(taken))


MOVES: dict[str, Callable[[Strided, Node], Strided | None]] = {
    "reshape": move_reshape,
    "permute": move_permute,
    "broadcast": move_broadcast,
    "slice": move_slice,
    "flip": move_flip,
    "window": move_window,
}
