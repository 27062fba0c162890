"""Windows, padding and the other movements that have a name: pad, flip, every, stack, concat.

Takes: tensors and resolved axes. Promises: `window` puts the window axes behind the last of the axes it slides along,
which then count positions; windows that touch without overlap are a reshape, so that taking them back is one too.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.program import Node, make
from jobspec.lang.alignment import align, ordered
from jobspec.lang.constants import Number
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.values import Axes, Entry, Tensor, bits_of, cast, origins
from jobspec.lang.views import cut


def window(x: Tensor, along: Axes, by: Axes, sizes: Sequence[int], stride: int) -> Tensor:
    """Windows of `sizes` along the axes `along`, called `by`, every `stride` places."""
    need(
        len(along) == len(by),
        "E0234",
        f"{len(along)} axes slide, {len(by)} axes name the window",
        f"name one window axis for each: `window[{' '.join(along)} by {' '.join(a + 'k' for a in along)}]`",
    )
    for axis in by:
        need(axis not in x.axes, "E0233", f"the value has {axis} already")
    check_fit(x, along, by, sizes, stride)
    pairs = sorted(zip(x.positions(along), by, sizes, strict=True))
    places, by, sizes = (tuple(column) for column in zip(*pairs, strict=True))
    tiled = all(size == stride and x.node.shape[i] % size == 0 for i, size in zip(places, sizes, strict=True))
    node = tiles(x.node, places, stride) if tiled else slide(x.node, places, sizes, stride)
    end = places[-1] + 1
    entered = {**x.entered, **{axis: Entry(f"`window` {axis}") for axis in by}}
    return Tensor(node, (*x.axes[:end], *by, *x.axes[end:]), entered=entered)


def check_fit(x: Tensor, along: Axes, by: Axes, sizes: Sequence[int], stride: int) -> None:
    need(stride > 0, "E0234", f"a stride is at least 1, not {stride}")
    for axis, name, size in zip(along, by, sizes, strict=True):
        have = x.size(axis)
        need(size <= have, "E0234", f"a window of {name} {size} does not fit into {axis}, which has size {have}")


def slide(node: Node, places: tuple[int, ...], sizes: tuple[int, ...], stride: int) -> Node:
    return make("window", node, axes=places, sizes=sizes, strides=(stride,) * len(places))


def tiles(node: Node, places: tuple[int, ...], size: int) -> Node:
    """Windows that tile their axes: cut each axis in two, bring the inner halves behind the last outer one."""
    shape: list[int] = []
    outer: list[int] = []
    inner: list[int] = []
    for i, n in enumerate(node.shape):
        outer.append(len(shape))
        shape += [n // size, size] if i in places else [n]
        inner += [len(shape) - 1] if i in places else []
    end = places[-1] + 1
    cut_up = make("reshape", node, shape=tuple(shape))
    return make("permute", cut_up, axes=(*outer[:end], *inner, *outer[end:]))


def pad(x: Tensor, axes: Axes, low: int, high: int, value: Number) -> Tensor:
    """`low` elements of `value` before and `high` after, along each of `axes`."""
    need(low >= 0 and high >= 0, "E0234", "padding is not negative")
    places = set(x.positions(axes))
    if not (low or high):
        return x
    x = cast(x, "f32") if isinstance(value, float) else x
    rank = range(len(x.axes))
    node = make(
        "pad",
        x.node,
        bits=bits_of(value, x.dtype),
        inner=(0,) * len(rank),
        low=tuple(low if i in places else 0 for i in rank),
        high=tuple(high if i in places else 0 for i in rank),
    )
    return Tensor(node, x.axes, entered=x.entered)


def flip(x: Tensor, axes: Axes) -> Tensor:
    """Reversed along `axes`."""
    node = make("flip", x.node, axes=tuple(sorted(x.positions(axes))))
    return Tensor(node, x.axes, x.left, x.right, x.entered)


def every(x: Tensor, axes: Axes, step: int) -> Tensor:
    """Every `step`-th place along each of `axes`, from the first."""
    need(step > 0, "E0234", f"a step is at least 1, not {step}")
    for axis in axes:
        x = cut(x, axis, 0, x.size(axis), step)
    return x


def stack(axis: str, size: int, parts: Sequence[Tensor], stated: Axes | None) -> Tensor:
    """`parts` along the new last axis `axis`."""
    need(len(parts) == size, "E0211", f"{axis} has size {size}, {len(parts)} values are stacked along it")
    nodes, result = align(parts, stated)
    need(axis not in result.axes, "E0233", f"the values have {axis} already")
    deep = [make("reshape", node, shape=(*node.shape, 1)) for node in nodes]
    return Tensor(make("concat", *deep, axis=len(result.axes)), (*result.axes, axis), entered=result.entered)


def concat(axis: str, parts: Sequence[Tensor]) -> Tensor:
    """`parts` one after another along `axis`; the order of axes is the first one's."""
    first = parts[0]
    place = first.position(axis)
    for i, part in enumerate(parts):
        if set(part.axes) != set(first.axes):
            raise Refusal(
                "E0212",
                "values put one after another have the same axes",
                parts=tuple((j, " ".join(parts[j].axes)) for j in (0, i)),
            )
        for other in first.axes:
            need(
                other == axis or part.size(other) == first.size(other),
                "E0211",
                f"{other} has two sizes here: {first.size(other)} and {part.size(other)}",
            )
    nodes = [ordered(part, first.axes).node for part in parts]
    return Tensor(make("concat", *nodes, axis=place), first.axes, entered=origins(*parts))
