"""Reductions over named axes, and the tensors that are made from axes alone.

Takes: values and axis names. Promises: the value's stored order decides the order of summation (the IR's rule: row
order where the named axes come last, column order otherwise); nothing is permuted for it. `mean` is the sum divided by
the number of elements, one correctly rounded division.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from jobspec.ir.program import Node, make
from jobspec.lang import arithmetic
from jobspec.lang.refusal import Refusal
from jobspec.lang.values import Axes, Tensor, Value, cast_node, described, floats


def reduce(op: str, axes: Axes, x: Value) -> Tensor:
    """sum, mean, max, min, argmax or argmin of `x` over `axes`."""
    if not isinstance(x, Tensor) or any(axis not in x.axes for axis in axes):
        raise no_axis(op, axes, x)
    return REDUCTIONS[op](x, axes)


def no_axis(op: str, axes: Axes, x: Value) -> Refusal:
    missing = next(axis for axis in axes if not isinstance(x, Tensor) or axis not in x.axes)
    return Refusal(
        "E0203", f"`{op}` over {missing}, which the value does not have", parts=((0, f"axes: {described(x)}"),)
    )


def reduced(op: str, x: Tensor, axes: Axes) -> Tensor:
    node: Node = make(op, cast_node(x.node, "f32"), axes=tuple(sorted(x.positions(axes))))
    kept = tuple(axis for axis in x.axes if axis not in axes)
    return Tensor(node, kept, entered=x.entered)


def mean(x: Tensor, axes: Axes) -> Tensor:
    count = prod(x.size(axis) for axis in axes)
    return arithmetic.elementwise("div", [reduced("sum", x, axes), count], None, "f32")


def smallest(op: str) -> Callable[[Tensor, Axes], Tensor]:
    """The reduction `op` of the negated value; negation is exact."""
    return lambda x, axes: reduced(op, arithmetic.apply("neg", x), axes)


def minimum(x: Tensor, axes: Axes) -> Tensor:
    return arithmetic.apply("neg", smallest("reduce_max")(x, axes))


REDUCTIONS: dict[str, Callable[[Tensor, Axes], Tensor]] = {
    "sum": lambda x, axes: reduced("sum", x, axes),
    "mean": mean,
    "max": lambda x, axes: reduced("reduce_max", x, axes),
    "min": minimum,
    "argmax": lambda x, axes: reduced("argmax", x, axes),
    "argmin": smallest("argmax"),
}


def count(axes: Axes, x: Value) -> int:
    """How many elements a reduction over `axes` would fold."""
    if not isinstance(x, Tensor) or any(axis not in x.axes for axis in axes):
        raise no_axis("count", axes, x)
    return prod(x.size(axis) for axis in axes)


def iota(axis: str, size: int) -> Tensor:
    """0, 1, … along `axis`."""
    return Tensor(make("iota", size=size), (axis,))


def one_hot(axis: str, size: int, ids: Value) -> Tensor:
    """1 where `axis` is at `ids`, else 0 (f32). The axis comes last."""
    if not isinstance(ids, Tensor) or ids.dtype == "f32":
        raise Refusal("E0225", "`one_hot` takes whole numbers, one per element")
    axes = (*ids.axes, axis)
    hit = arithmetic.compare("==", ids, iota(axis, size), axes)
    assert isinstance(hit, Tensor)
    return floats(Tensor(hit.node, hit.axes, entered=ids.entered))
