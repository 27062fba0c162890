"""Order along an axis: top, sort, argsort, and running sums.

Takes: a tensor and an axis. Promises: one total order of values, the same for all: NaN (of any bits) below -inf below
… below inf, +0 and -0 equal; what is equal stands in ascending position. A place's rank is the number of places before
it, counted by comparing every pair; that is exact up to 2^24 places and needs no loop.
"""

from __future__ import annotations

from jobspec.ir.program import Node, make
from jobspec.lang import arithmetic, views
from jobspec.lang.alignment import ordered
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import need
from jobspec.lang.region import Loop
from jobspec.lang.values import Axes, Tensor, Value, cast_node, floats, scalar

#: whole numbers that f32 counts without a gap
MOST = 2**24
NAN_KEY = 1 << 31


def top(axis: str, new: str, count: int, x: Tensor) -> Tensor:
    """The positions (i32) along `axis` of the `count` largest, the largest first, along `new`."""
    size = x.size(axis)
    need(count <= size, "E0236", f"{axis} has {size} places, fewer than the {count} of {new}")
    need(new == axis or new not in x.axes, "E0233", f"the result would have {new} twice")
    rest = without(x, axis)
    place = placed(ranks(ordered(x, (*rest, axis)).node, descending=True), count)
    return Tensor(place, (*rest, new), entered=x.entered)


def argsort(axis: str, x: Tensor) -> Tensor:
    """The positions (i32) along `axis` in ascending order of their values."""
    rest, size = without(x, axis), x.size(axis)
    place = placed(ranks(ordered(x, (*rest, axis)).node, descending=False), size)
    return Tensor(place, (*rest, axis), entered=x.entered)


def sort(axis: str, x: Tensor) -> Tensor:
    """The values in ascending order along `axis`."""
    return views.gather(x, axis, argsort(axis, x))


def without(x: Tensor, axis: str) -> Axes:
    x.position(axis)
    return tuple(a for a in x.axes if a != axis)


def keys(x: Node) -> Node:
    """Whole numbers (i32) in the order of the values."""
    if x.dtype != "f32":
        return cast_node(x, "i32")
    zero = like(x, 0, "f32")
    bits = make("bitcast", make("select", make("eq", x, zero), zero, x), dtype="i32")
    folded = make("and", make("shr", bits, like(bits, 31, "i32")), like(bits, 0x7FFFFFFF, "i32"))
    return make("select", make("ne", x, x), like(bits, NAN_KEY, "i32"), make("xor", bits, folded))


def like(x: Node, bits: int, dtype: str) -> Node:
    """The pattern `bits` everywhere in the shape of `x`."""
    return make("const", dtype=dtype, shape=x.shape, bits=(bits,))


def ranks(x: Node, descending: bool) -> Node:
    """For each place of the last axis, how many stand before it (i32)."""
    *outer, size = x.shape
    need(size <= MOST, "E0222", f"an axis of {size} places is too long to be sorted")
    last, square = len(outer), (*outer, size, size)
    key = keys(x)
    mine, other = (spread(key, square, (*range(last), axis)) for axis in (last, last + 1))
    here, there = (spread(make("iota", size=size), square, (axis,)) for axis in (last, last + 1))
    before = make("lt", mine, other) if descending else make("lt", other, mine)
    tied = make("and", make("eq", mine, other), make("lt", there, here))
    return counted(make("cast", make("or", before, tied), dtype="f32"))


def placed(rank: Node, count: int) -> Node:
    """The place whose rank is 0, 1, … count-1, along the last axis."""
    *outer, size = rank.shape
    last, table = len(outer), (*outer, count, size)
    wanted, place = (spread(make("iota", size=n), table, (axis,)) for n, axis in ((count, last), (size, last + 1)))
    hit = make("eq", spread(rank, table, (*range(last), last + 1)), wanted)
    return counted(make("select", hit, make("cast", place, dtype="f32"), like(place, 0, "f32")))


def spread(x: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> Node:
    return make("broadcast", x, shape=shape, axes=axes)


def counted(x: Node) -> Node:
    """The sum of whole numbers over the last axis; they are small enough to be exact in any order."""
    return make("cast", make("sum", x, axes=(len(x.shape) - 1,)), dtype="i32")


def cumsum(frame: Frame, axis: str, x: Tensor) -> Tensor:
    """Running sums along `axis`: acc = acc + x from zero, ascending. Whole numbers and conditions stay whole."""
    x.position(axis)
    t = floats(x) if x.dtype == "f32" else Tensor(cast_node(x.node, "i32"), x.axes, entered=x.entered)
    loop = Loop(parent=frame.region, axis=axis, size=t.size(axis), stacking=False)
    each = loop.slice(t)
    start = scalar(0, t.dtype).node
    zero = spread(start, each.node.shape, ()) if each.axes else start
    total: Value = arithmetic.binary("+", loop.carry(Tensor(zero, each.axes)), each)
    assert isinstance(total, Tensor)
    return Tensor(loop.close([total.node], [total.node])[-1], (axis, *each.axes), entered=x.entered)
