"""Walking over flattened axes: from a position to an address.

Takes: axes as (size, bytes per position), the last one fastest. Promises: `offset_at` is the byte offset
of a flattened position; `pieces` cuts a range of positions where the innermost axes begin anew, so
that a loop inside a piece has one stride or one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from jobspec.backends.llvm.builder import Int, int_of
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.module import Module
from jobspec.backends.llvm.values import SIZES, Value
from jobspec.ir.contraction import Cut, Extent

Axes = Sequence[tuple[int, int]]  #: (size, bytes per position), the last one fastest
#: steps of k that one table lists even if the inner axes alone would do, and that a block must have
MOST_LISTED, BLOCK = 4096, 256
#: entries that a table can have
LONGEST = 1 << 15
#: (byte offset of the piece, first and last position + 1 in it, position of its start, carried) -> carried
Piece = Callable[..., Sequence[Value] | None]


class Walk(Protocol):
    """How an operand goes along k, in a loop."""

    def at(self, f: Function, base: Value, k: Value) -> Value:
        """Pointer to step `k` of what begins at `base`."""


@dataclass(frozen=True, slots=True)
class Even:
    """`stride` bytes each step."""

    stride: int

    def at(self, f: Function, base: Value, k: Value) -> Value:
        return f.offset(base, f.imul(k, self.stride))


@dataclass(frozen=True, slots=True)
class Listed:
    """The byte offsets of a constant table, each of `type`: i32, or i64 where they are far apart."""

    table: str
    type: str

    def at(self, f: Function, base: Value, k: Value) -> Value:
        entry = f.load(self.type, f.offset(Value("ptr", f"@{self.table}"), f.imul(k, SIZES[self.type])))
        return f.offset(base, entry if self.type == "i64" else f.convert("sext", entry, "i64"))


@dataclass(frozen=True)
class Along:
    """All of k as one operand walks it: blocks of `period` steps, each with the one `walk`, laid out along `outer`."""

    outer: Axes
    period: int
    walk: Walk


def along(module: Module, table: str, axes: Axes) -> Along:
    """One stride where k has one, else a table (named `table`) of as many of the inner axes as a block needs to be
    long enough, or of all where they are few."""
    steps = prod(size for size, _ in axes)
    inner = 1
    while inner < len(axes) and (steps <= MOST_LISTED or prod(size for size, _ in axes[-inner:]) < BLOCK):
        inner += 1
    outer, listed = shortened(tuple(axes[:-inner]), tuple(axes[-inner:]))
    period = prod(size for size, _ in listed)
    if len(listed) == 1:
        return Along(outer, period, Even(listed[0][1]))
    found = offsets(listed)
    type_ = "i32" if max(map(abs, found)) < 1 << 31 else "i64"
    entries = ", ".join(f"{type_} {offset}" for offset in found)
    module.define(table, f"internal constant [{period} x {type_}] [{entries}], align 64")
    return Along(outer, period, Listed(table, type_))


def shortened(outer: Axes, listed: Axes) -> tuple[Axes, Axes]:
    """(outer, listed) with of the slowest listed axis only so many positions as make a block, where all of them would
    make a long table; none of them where its size has no such part."""
    (size, stride), *rest = listed
    below = prod(size for size, _ in rest)
    if size * below <= LONGEST or not rest:
        return outer, listed
    parts = range(-(-BLOCK // below), LONGEST // below + 1)
    part = next((part for part in parts if size % part == 0), 1)
    kept = ((part, stride),) if part > 1 else ()
    return (*outer, (size // part, stride * part)), (*kept, *rest)


def start_of(f: Function, cut: Cut, part: Int) -> Int:
    """Where part number `part` begins."""
    return total(f, times(f, part, cut.size - 1), least(f, part, cut.more))


def digits(f: Function, position: Int, sizes: Sequence[int]) -> list[Int]:
    """The positions along axes of `sizes` of a flattened position, which is in range."""
    found: list[Int] = []
    left, wide = position, [i for i, size in enumerate(sizes) if size > 1]
    for i in range(len(sizes) - 1, -1, -1):
        found.append(0 if i not in wide else left if i == wide[0] else _remainder(f, left, sizes[i]))
        left = _quotient(f, left, sizes[i]) if i in wide[1:] else left
    return found[::-1]


def offset_at(f: Function, position: Int, axes: Axes) -> Int:
    """Bytes from position 0 to a flattened position."""
    at: Int = 0
    for digit, (_, stride) in zip(digits(f, position, [size for size, _ in axes]), axes, strict=True):
        at = total(f, at, times(f, digit, stride))
    return at


def bytes_of(extents: Sequence[Extent], side: str) -> Axes:
    """(size, bytes per position) of extents, as `a` or `b` walks them."""
    return [(e.size, 4 * (e.a if side == "a" else e.b)) for e in extents]


def moved(f: Function, at: Sequence[Int], extents: Sequence[Extent], side: str) -> Int:
    """Bytes from the origin to positions `at`."""
    moved: Int = 0
    for position, (_, step) in zip(at, bytes_of(extents, side), strict=True):
        moved = total(f, moved, times(f, position, step))
    return moved


def offsets(axes: Axes) -> list[int]:
    """Byte offsets of all flattened positions."""
    found = [0]
    for size, stride in axes:
        found = [start + stride * i for start in found for i in range(size)]
    return found


def pieces(
    f: Function, outer: Axes, period: int, k0: Int, k1: Int, body: Piece, carried: Sequence[Value] = ()
) -> list[Value]:
    """For each block of `period` positions that k0 … k1-1 has a part in, in order: body(offset of the block along
    `outer`, first, last + 1 within the block, position where the block begins, *carried)."""
    if not outer:
        return list(body(0, k0, k1, 0, *carried) or ())
    whole = k0 == 0 and k1 == prod(size for size, _ in outer) * period

    def block(number: Value, *now: Value) -> Sequence[Value] | None:
        start = times(f, number, period)
        first = 0 if whole else f.intrinsic("smax", "i64", (f.isub(k0, start), int_of(0)), ("i64",))
        last = period if whole else least(f, f.isub(k1, start), period)
        return body(offset_at(f, number, outer), first, last, start, *now)

    last_block = (k1 - 1) // period + 1 if isinstance(k1, int) else f.iadd(f.udiv(f.isub(k1, 1), period), 1)
    return f.loop(_quotient(f, k0, period), last_block, 1, block, carried)


def choose(f: Function, number: Int, firsts: Sequence[int], emit: Callable[[int], None], i: int = 0) -> None:
    """Emit case i where firsts[i] ≤ number < firsts[i + 1]."""
    if i == len(firsts) - 1:
        emit(i)
    else:
        below = f.icmp("slt", number, firsts[i + 1])
        f.when(below, lambda: emit(i), lambda: choose(f, number, firsts, emit, i + 1))


def least(f: Function, a: Int, b: Int) -> Int:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else f.smin(a, b)


def times(f: Function, a: Int, b: int) -> Int:
    return a * b if isinstance(a, int) else f.imul(a, b)


def total(f: Function, a: Int, b: Int) -> Int:
    return a + b if isinstance(a, int) and isinstance(b, int) else f.iadd(a, b)


def _quotient(f: Function, a: Int, b: int) -> Int:
    return a // b if isinstance(a, int) else f.udiv(a, b)


def _remainder(f: Function, a: Int, b: int) -> Int:
    return a % b if isinstance(a, int) else f.urem(a, b)
