"""The functions that the language itself has, one row each.

Takes: resolved axes and evaluated arguments. Promises: a table `name → Row`; a row says which brackets the function
takes, its arguments with their defaults, and what it does. Everything else is written in the language (std/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobspec.lang import arithmetic, linear, orders, random, reductions, windows
from jobspec.lang.constants import PI, Number
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.things import DataSet, Mixture, Ordered, kind_of, need_number, need_tensor, need_value, need_whole
from jobspec.lang.values import Axes, Entry, Tensor, cast, tensor_of

REQUIRED = object()
#: the function whose arguments are names of data sets
MIX = "mix"
CONSTANTS: dict[str, Number | bool] = {"pi": PI, "inf": float("inf"), "true": True, "false": False}


@dataclass(frozen=True)
class Context:
    """A call: where it stands, the axes of its bracket, those after `by` or the arrow."""

    frame: Frame
    axes: Axes
    by: Axes


@dataclass(frozen=True)
class Row:
    """`brackets`: none, some (one axis or more), one, any (none or some), by (`[Y X by Ky Kx]`), to (`[E->Q]`).
    `rest`: the last argument takes all that follow, as a list."""

    brackets: str
    arguments: Mapping[str, Any]
    run: Callable[..., Any]
    rest: bool = False


def function_row(name: str) -> Row:
    return Row("none", {"x": REQUIRED}, lambda _, x: arithmetic.function(name, need_value(x)))


def reduction_row(name: str) -> Row:
    return Row("some", {"x": REQUIRED}, lambda c, x: reductions.reduce(name, c.axes, need_value(x)))


def extreme(name: str) -> Callable[..., Any]:
    """`max(a, b)` element by element, `max[A](x)` along A."""

    def run(c: Context, x: Any, y: Any) -> Any:
        if c.axes:
            need(y is None, "E0261", f"`{name}[…]` takes one argument")
            return reductions.reduce(name, c.axes, need_value(x))
        need(y is not None, "E0261", f"`{name}` takes two arguments, or axes: `{name}[A](x)`")
        return arithmetic.extreme(name, [need_value(x), need_value(y)], c.frame.stated)

    return run


def select(c: Context, condition: Any, yes: Any, no: Any) -> Any:
    return arithmetic.select(need_value(condition), need_value(yes), need_value(no), c.frame.stated)


def stop(_: Context, x: Any) -> Any:
    return arithmetic.apply("stop", x, x.dtype) if isinstance(x, Tensor) else need_number(x)


def one_hot(c: Context, ids: Any) -> Tensor:
    return reductions.one_hot(c.axes[0], c.frame.size(c.axes[0]), need_value(ids))


def constant(c: Context, values: list[Any]) -> Tensor:
    axis = c.axes[0]
    size = c.frame.size(axis)
    need(len(values) == size, "E0211", f"{axis} has size {size}, {len(values)} numbers are written")
    return arithmetic.constant_vector([need_number(v) for v in values], axis)


def window(c: Context, x: Any, stride: Any, pad: Any, value: Any) -> Tensor:
    low, high = margins(pad)
    padded = windows.pad(need_tensor(x), c.axes, low, high, need_number(value))
    return windows.window(padded, c.axes, c.by, c.frame.sizes(c.by), need_whole(stride))


def margins(pad: Any) -> tuple[int, int]:
    """Padding before and after: one number for both, or a list of two."""
    items = getattr(pad, "items", None)
    if isinstance(items, tuple):
        need(len(items) == 2, "E0234", "padding is one number, or two: `[1, 2]` before and after")
        return need_whole(items[0]), need_whole(items[1])
    return need_whole(pad), need_whole(pad)


def pad(c: Context, x: Any, amount: Any, value: Any) -> Tensor:
    low, high = margins(amount)
    return windows.pad(need_tensor(x), c.axes, low, high, need_number(value))


def stack(c: Context, parts: list[Any]) -> Tensor:
    axis = c.axes[0]
    whole = "i32" if all(arithmetic.is_whole(need_value(p)) for p in parts) else "f32"
    tensors = [tensor_of(need_value(p), whole) for p in parts]
    return windows.stack(axis, c.frame.size(axis), tensors, c.frame.stated)


def concat(c: Context, parts: list[Any]) -> Tensor:
    tensors = [need_tensor(p) for p in parts]
    dtype = arithmetic.joint_dtype(tensors)
    return windows.concat(c.axes[0], [cast(t, dtype) for t in tensors])


def top(c: Context, x: Any) -> Tensor:
    return orders.top(c.axes[0], c.by[0], c.frame.size(c.by[0]), need_tensor(x))


def ordered(order: str) -> Callable[..., Ordered]:
    def run(_: Context, data: Any) -> Ordered:
        if not isinstance(data, DataSet | Mixture):
            raise Refusal("E0226", f"`{order}` takes a data set, this is {kind_of(data)}")
        return Ordered(data, order)

    return run


def bare(c: Context) -> Any:
    """Never reached: with its bracket, such a name is a value already (BARE); `mix` reads its call's own text."""
    raise AssertionError(c)


X = {"x": REQUIRED}

BUILTINS: dict[str, Row] = {
    **{
        n: function_row(n)
        for n in ("exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "abs", "floor", "round", "sign")
    },
    **{n: function_row(n) for n in ("bf16", "f16")},
    **{n: reduction_row(n) for n in ("sum", "mean", "argmax", "argmin")},
    "max": Row("any", {"x": REQUIRED, "y": None}, extreme("max")),
    "min": Row("any", {"x": REQUIRED, "y": None}, extreme("min")),
    "select": Row("none", {"condition": REQUIRED, "yes": REQUIRED, "no": REQUIRED}, select),
    "stop": Row("none", X, stop),
    "dot": Row(
        "some", {"a": REQUIRED, "b": REQUIRED}, lambda c, a, b: linear.dot(c.axes, need_value(a), need_value(b))
    ),
    "count": Row("some", X, lambda c, x: reductions.count(c.axes, need_value(x))),
    "top": Row("to", X, top),
    "sort": Row("one", X, lambda c, x: orders.sort(c.axes[0], need_tensor(x))),
    "argsort": Row("one", X, lambda c, x: orders.argsort(c.axes[0], need_tensor(x))),
    "cumsum": Row("one", X, lambda c, x: orders.cumsum(c.frame, c.axes[0], need_tensor(x))),
    "one_hot": Row("one", X, one_hot),
    "const": Row("one", {"values": REQUIRED}, constant, rest=True),
    "window": Row("by", {"x": REQUIRED, "stride": 1, "pad": 0, "value": 0}, window),
    "pad": Row("some", {"x": REQUIRED, "amount": REQUIRED, "value": 0}, pad),
    "flip": Row("some", X, lambda c, x: windows.flip(need_tensor(x), c.axes)),
    "every": Row(
        "some",
        {"x": REQUIRED, "step": REQUIRED},
        lambda c, x, step: windows.every(need_tensor(x), c.axes, need_whole(step)),
    ),
    "stack": Row("one", {"parts": REQUIRED}, stack, rest=True),
    "concat": Row("one", {"parts": REQUIRED}, concat, rest=True),
    "rand": Row("any", {}, lambda c: random.uniform(c.frame, c.axes)),
    "randint": Row(
        "any",
        {"low": REQUIRED, "high": REQUIRED},
        lambda c, low, high: random.whole(c.frame, c.axes, need_whole(low, None), need_whole(high, None)),
    ),
    "normal": Row("any", {"scale": 1}, lambda c, scale: random.normal(c.frame, c.axes, need_value(scale))),
    "shuffle": Row("none", {"data": REQUIRED}, ordered("shuffle")),
    "sequence": Row("none", {"data": REQUIRED}, ordered("sequence")),
    MIX: Row("none", {}, bare),
    **{n: Row("some", {}, bare) for n in ("iota", "zeros", "ones")},
}


def iota(frame: Frame, axes: Axes) -> Tensor:
    need(len(axes) == 1, "E0262", "`iota` counts along one axis: `iota[T]`")
    t = reductions.iota(axes[0], frame.size(axes[0]))
    return Tensor(t.node, t.axes, entered={axes[0]: Entry(f"`iota[{axes[0]}]`")})


def full(value: Number) -> Callable[[Frame, Axes], Tensor]:
    return lambda frame, axes: arithmetic.full(value, axes, frame.sizes(axes))


#: functions of axes alone: `iota[T]` is a value without a call
BARE: dict[str, Callable[[Frame, Axes], Tensor]] = {"iota": iota, "zeros": full(0), "ones": full(1)}
