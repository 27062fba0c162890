"""Views: one bracket that renames, splits, merges, indexes, slices and gathers (rule 4 of the language).

Takes: a tensor and one item of the bracket with its axes resolved to names and sizes. Promises: the viewed tensor; a
linear map stays one while the axes of its arrow are whole. No element is computed, only moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from jobspec.ir.program import Node, make
from jobspec.lang.alignment import ordered
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.values import Axes, Entry, Tensor, origins

Sizes = Mapping[str, int]


def remap(x: Tensor, old: Axes, new: Axes, sizes: Sizes) -> Tensor:
    """`[old->new]`: rename (as many new as old), split (one old) or merge (one new). `sizes`: of the new axes."""
    for axis in new:
        need(axis not in x.axes or axis in old, "E0233", f"the value would have {axis} twice")
    if len(old) == len(new):
        return rename(x, old, new, sizes)
    if len(old) == 1:
        return split(x, old[0], new, sizes)
    need(len(new) == 1, "E0235", "a view renames axes one to one, splits one axis, or merges axes into one")
    return merge(x, old, new[0], sizes)


def rename(x: Tensor, old: Axes, new: Axes, sizes: Sizes) -> Tensor:
    places = dict(zip(x.positions(old), new, strict=True))
    for place, axis in places.items():
        have = x.node.shape[place]
        need(
            sizes.get(axis, have) == have,
            "E0211",
            f"{x.axes[place]} has size {have} here, {axis} has {sizes.get(axis)}",
        )
    axes = tuple(places.get(i, axis) for i, axis in enumerate(x.axes))
    return Tensor(x.node, axes, x.left, x.right, moved(x, dict(zip(old, new, strict=True))))


def moved(x: Tensor, names: Mapping[str, str]) -> dict[str, Entry]:
    return {names.get(axis, axis): entry for axis, entry in x.entered.items()}


def split(x: Tensor, old: str, new: Axes, sizes: Sizes) -> Tensor:
    place = x.position(old)
    parts = tuple(sizes[axis] for axis in new)
    have = x.node.shape[place]
    shown = " * ".join(f"{axis} {size}" for axis, size in zip(new, parts, strict=True))
    need(prod(parts) == have, "E0211", f"{old} has size {have}, {shown} is {prod(parts)}")
    return rewritten(x, place, 1, new, parts)


def merge(x: Tensor, old: Axes, new: str, sizes: Sizes) -> Tensor:
    whole = prod(x.size(axis) for axis in old)
    need(
        sizes.get(new, whole) == whole,
        "E0211",
        f"{' '.join(old)} together have size {whole}, {new} has {sizes.get(new)}",
    )
    x = together(x, old)
    return rewritten(x, x.position(old[0]), len(old), (new,), (whole,))


def together(x: Tensor, axes: Axes) -> Tensor:
    """`axes` side by side in this order, where the first of them stood."""
    rest = [axis for axis in x.axes if axis not in axes[1:]]
    at = rest.index(axes[0])
    target = (*rest[:at], *axes, *rest[at + 1 :])
    return x if target == x.axes else ordered(x, target)


def rewritten(x: Tensor, place: int, count: int, new: Axes, parts: tuple[int, ...]) -> Tensor:
    """`count` axes from `place` on become `new`."""
    shape = (*x.node.shape[:place], *parts, *x.node.shape[place + count :])
    axes = (*x.axes[:place], *new, *x.axes[place + count :])
    entry = next((x.entered[axis] for axis in x.axes[place : place + count] if axis in x.entered), None)
    entered = {**x.entered, **(dict.fromkeys(new, entry) if entry else {})}
    node = make("reshape", x.node, shape=shape)
    left, right = arrow_after(x, place, count, len(new))
    return Tensor(node, axes, left, right, entered)


def arrow_after(x: Tensor, place: int, count: int, new: int) -> tuple[int, int]:
    """The arrow's two counts when `count` axes from `place` become `new`; none if they lie across the arrow."""
    start, middle = len(x.stacked), len(x.stacked) + x.left
    end = place + count
    if not x.is_map or end <= start:
        return x.left, x.right
    if start <= place and end <= middle:
        return x.left + new - count, x.right
    return (x.left, x.right + new - count) if place >= middle else (0, 0)


def cut(x: Tensor, axis: str, start: int, stop: int, step: int = 1) -> Tensor:
    """`[axis: start..stop]`, every `step`-th."""
    place, shape = x.position(axis), x.node.shape
    if not 0 <= start < stop <= shape[place]:
        raise outside(x, axis, start, stop)
    starts = tuple(start if i == place else 0 for i in range(len(shape)))
    stops = tuple(stop if i == place else n for i, n in enumerate(shape))
    steps = tuple(step if i == place else 1 for i in range(len(shape)))
    if starts == (0,) * len(shape) and stops == shape and step == 1:
        return x
    return Tensor(make("slice", x.node, start=starts, stop=stops, step=steps), x.axes, x.left, x.right, x.entered)


def outside(x: Tensor, axis: str, start: int, stop: int) -> Refusal:
    size = x.size(axis)
    reason = f"`{axis}: {start}..{stop}` is empty" if 0 <= stop <= start else f"`{axis}: {start}..{stop}` is outside"
    help = f"count from the end with its size: `[{axis}: {axis}-1]`" if start < 0 or stop < 0 else None
    return Refusal("E0236", f"{reason}: {axis} has the places 0 to {size - 1}", help=help)


def index(x: Tensor, axis: str, at: int) -> Tensor:
    """`[axis: at]`: one place; the axis goes."""
    place, size = x.position(axis), x.size(axis)
    if not 0 <= at < size:
        raise Refusal(
            "E0236",
            f"{axis} has the places 0 to {size - 1}, not {at}",
            help=f"count from the end with its size: `[{axis}: {axis}-1]`" if at < 0 else None,
        )
    one = cut(x, axis, at, at + 1)
    return rewritten(one, place, 1, (), ())


def gather(x: Tensor, axis: str, ids: Tensor) -> Tensor:
    """`[axis: ids]`: x at the places `ids`; axes that both have run along with each other."""
    need(ids.dtype in ("i32", "u32"), "E0225", f"an index must be whole numbers, this one is {ids.dtype}")
    x.position(axis)
    shared = tuple(a for a in x.axes if a in ids.axes and a != axis)
    check_gather(x, axis, ids, shared)
    rest = tuple(a for a in x.axes if a not in shared and a != axis)
    own = tuple(a for a in ids.axes if a not in shared)
    source = x if x.is_map and not shared and x.axes[0] == axis else ordered(x, (*shared, axis, *rest))
    node: Node = make("gather", source.node, ordered(ids, (*shared, *own)).node, batch=len(shared))
    axes = (*shared, *own, *source.axes[len(shared) + 1 :])
    whole = x.is_map and axis in x.stacked and all(a in x.stacked for a in shared)
    return Tensor(node, axes, x.left if whole else 0, x.right if whole else 0, origins(ids, x))


def check_gather(x: Tensor, axis: str, ids: Tensor, shared: Axes) -> None:
    for a in shared:
        need(x.size(a) == ids.size(a), "E0211", f"{a} has two sizes here: {x.size(a)} and {ids.size(a)}")
