"""Loads and stores of a kernel's elements, one lane or many.

Takes: a scope and an inst. Promises: elements are read and written as ir/kernel.py says, in their
storage types; lanes outside the scope's mask are neither read nor written and raise no flag; an index
out of bounds raises its flag and reads element 0, so no address ever leaves its buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from jobspec.backends.llvm.scalars import ELEMENT
from jobspec.backends.llvm.scope import WIDTH, Scope
from jobspec.backends.llvm.spaced import FURTHEST, spaced
from jobspec.backends.llvm.values import (
    Value,
    element_of,
    float_bits,
    integer,
    lanes_of,
    like,
    prefix_mask,
    vector,
    width_of,
    zero,
)
from jobspec.ir.contract import CANONICAL_NAN
from jobspec.ir.kernel import Inst, View

#: bytes of a cache line, which is where a vector that begins at a multiple of WIDTH begins too
LINE = 64
LANES64 = vector("i64", WIDTH)


def stored_type(scope: Scope, view: View) -> str:
    """The element type in memory; a bool takes a byte."""
    dtype = scope.site.places[view.buffer].dtype
    return "i8" if dtype == "bool" else ELEMENT[dtype]


def stride_of(scope: Scope, view: View) -> int:
    """Elements from lane to lane."""
    axis = scope.nest.vector
    return view.strides[axis] if scope.nest.kernel.axes[axis].size > 1 else 0


# ---- loads


def load(scope: Scope, inst: Inst, wide: bool, moved: Value | None = None) -> Value:
    """The element(s) of a load; `moved`: bytes (i64, per lane or for all) that a picked index adds."""
    view = inst["view"]
    pointer, type_ = scope.pointers[view], stored_type(scope, view)
    if moved is not None and width_of(moved.type) > 1:
        return widened(scope, view, _gathered(scope, type_, pointer, _lane_offsets(scope, view, moved)))
    if moved is not None:
        pointer = scope.f.offset(pointer, moved)
    raw = _many(scope, view, type_, pointer) if wide else scope.f.load(type_, pointer)
    return widened(scope, view, raw)


def _many(scope: Scope, view: View, type_: str, pointer: Value) -> Value:
    step, count = stride_of(scope, view), WIDTH if scope.mask is None else lanes_of(scope.mask)
    if 1 < step <= FURTHEST and count:
        return spaced(scope.f, type_, pointer, step, count)
    if step != 1:
        return _gathered(scope, type_, pointer, _lane_offsets(scope, view, None))
    whole = vector(type_, WIDTH)
    return scope.f.load(whole, pointer) if scope.mask is None else scope.f.masked_load(whole, pointer, scope.mask)


def _gathered(scope: Scope, type_: str, pointer: Value, offsets: Value) -> Value:
    pointers = scope.f.spread_pointer(pointer, offsets)
    return scope.f.gather(vector(type_, WIDTH), pointers, scope.mask or prefix_mask(WIDTH, WIDTH))


def _lane_offsets(scope: Scope, view: View, moved: Value | None) -> Value:
    """Bytes from the scope's pointer to the element of each lane."""
    step = stride_of(scope, view) * scope.site.item(view)
    if step == 0 and moved is not None:
        return moved
    lanes = Value(LANES64, "<" + ", ".join(f"i64 {i * step}" for i in range(WIDTH)) + ">")
    return lanes if moved is None else scope.f.iadd(moved, lanes)


def widened(scope: Scope, view: View, raw: Value) -> Value:
    """As the body holds it: bool as i1, u8 and u16 as i32."""
    dtype = scope.site.places[view.buffer].dtype
    if dtype == "bool":
        return scope.f.icmp("ne", raw, zero(raw.type))
    return scope.f.convert("zext", raw, like(raw.type, "i32")) if dtype in ("u8", "u16") else raw


def picked(scope: Scope, inst: Inst, index: Value) -> Value:
    """Bytes that a checked index moves the load's address; raises the flag where it is out of bounds."""
    f, bound = scope.f, integer(index.type, inst["bound"])
    good = f.icmp("ult", index, bound)
    raise_flag(scope, inst["flag"], f.not_(good))
    safe = f.select(good, index, zero(index.type))
    wide = f.convert("zext", safe, like(index.type, "i64"))
    return f.imul(wide, integer(wide.type, inst["pick"] * scope.site.item(inst["view"])))


# ---- flags


def raise_flag(scope: Scope, flag: int, condition: Value) -> None:
    """Store 1 to the flag's word if the condition holds in a lane that exists."""
    if flag < 0:
        return
    f = scope.f
    if scope.mask is not None and width_of(condition.type) > 1:
        condition = f.and_(condition, scope.mask)

    def write() -> None:
        f.store(Value("i32", "1"), scope.site.at(scope.site.flags, flag))

    f.when(f.any(condition), write)


def not_finite(lanes: Sequence[Scope], values: Sequence[Value]) -> Value:
    """Whether any of `values`, which are floats, is NaN or infinite in a lane that exists; i1 or a vector of it."""
    f, whole = lanes[0].f, like(values[0].type, "i32")
    doubled = [f.binary("shl", f.bits(value), integer(whole, 1)) for value in values]
    if width_of(whole) > 1:
        both = zip(lanes, doubled, strict=True)
        doubled = [d if here.mask is None else f.select(here.mask, d, zero(whole)) for here, d in both]
    largest = reduce(lambda a, b: f.intrinsic("umax", whole, (a, b), (whole,)), doubled)
    return f.icmp("ugt", largest, integer(whole, 0xFEFFFFFF))


def canonical(scope: Scope, value: Value) -> Value:
    f = scope.f
    return f.select(f.fcmp("uno", value, value), float_bits(CANONICAL_NAN, width_of(value.type)), value)


# ---- stores


def store(lanes: Sequence[Scope], inst: Inst, values: Sequence[Value]) -> None:
    """Write `values`, of one lane or many, to the element(s) of a store at each of `lanes`. NaN and infinity raise the
    store's flag, a NaN is made canonical; where there is a flag, one look at all of them says whether there is any."""
    f, flag, float_ = lanes[0].f, inst["flag"], element_of(values[0].type) == "float"

    def write(settle: bool) -> None:
        for here, value in zip(lanes, values, strict=True):
            _placed(here, inst["view"], canonical(here, value) if settle else narrowed(here, inst["view"], value))

    def found() -> None:
        f.store(Value("i32", "1"), lanes[0].site.at(lanes[0].site.flags, flag))
        write(settle=True)

    write(settle=float_ and flag < 0)
    if float_ and flag >= 0:
        f.when(f.any(not_finite(lanes, values)), found)


def _placed(scope: Scope, view: View, stored: Value) -> None:
    """Write what memory is to hold."""
    pointer, f = scope.pointers[view], scope.f
    if width_of(stored.type) == 1:
        f.store(stored, pointer)
    elif stride_of(scope, view) == 0:
        f.store(f.extract(stored, 0), pointer)
    elif stride_of(scope, view) != 1:
        pointers = f.spread_pointer(pointer, _lane_offsets(scope, view, None))
        f.scatter(stored, pointers, scope.mask or prefix_mask(WIDTH, WIDTH))
    elif scope.mask is None and goes_past(scope, view):
        f.store_past(stored, pointer)
    elif scope.mask is None:
        f.store(stored, pointer)
    else:
        f.masked_store(stored, pointer, scope.mask)


def goes_past(scope: Scope, view: View) -> bool:
    """Whether to write a whole vector past the caches: what the kernel does not read, on lines of its own."""
    if not scope.site.past or view.buffer in scope.nest.loaded:
        return False
    others = [stride for axis, stride in enumerate(view.strides) if axis != scope.nest.vector]
    whole = not any(step % WIDTH for step in (view.offset, *others, *view.turns))
    return whole and scope.site.item(view) * WIDTH == LINE


def narrowed(scope: Scope, view: View, value: Value) -> Value:
    """As memory holds it."""
    type_ = stored_type(scope, view)
    if element_of(value.type) == "i1":
        return scope.f.convert("zext", value, like(value.type, type_))
    if type_ in ("i8", "i16"):
        return scope.f.convert("trunc", value, like(value.type, type_))
    return value


def positions(scope: Scope, axis: int) -> Value:
    """The position along `axis` in each lane, or for all lanes, as i32."""
    if scope.nest.kernel.axes[axis].size == 1:
        return integer("i32", 0)
    if axis == scope.nest.vector:
        return lane_positions(scope)
    index = scope.index[axis]
    return integer("i32", index) if isinstance(index, int) else scope.f.convert("trunc", index, "i32")


def lane_positions(scope: Scope) -> Value:
    """The position of each lane along the vector axis, as i32."""
    f, index, type_ = scope.f, scope.index[scope.nest.vector], vector("i32", WIDTH)
    start = index + scope.shift if isinstance(index, int) else scope.shift
    lanes = Value(type_, "<" + ", ".join(f"i32 {start + i}" for i in range(WIDTH)) + ">")
    return lanes if isinstance(index, int) else f.iadd(f.splat(f.convert("trunc", index, "i32"), WIDTH), lanes)
