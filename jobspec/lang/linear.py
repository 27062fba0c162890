"""Linear maps and contractions (rules 5 and 6 of the language).

Takes: tensors. Promises: `x @ w` removes the axes left of w's arrow from x and adds those right of it; `dot[K](a, b)`
sums over exactly the named axes; all other axes that both have run along with each other. Axes of the result: those of
the left operand that stay, in its order, then the right operand's own. Sums go in the left operand's order.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.program import make
from jobspec.lang.chosen import through_chosen
from jobspec.lang.refusal import Refusal
from jobspec.lang.values import Axes, Tensor, Value, described, floats, origins


def apply_map(x: Value, w: Value) -> Tensor:
    """`x @ w`."""
    if not isinstance(w, Tensor) or not w.is_map:
        raise Refusal(
            "E0231",
            "the right side of `@` must be a linear map",
            parts=((1, "this has no arrow"),),
            help="the map stands to the right: swap the two sides"
            if isinstance(x, Tensor) and x.is_map
            else "declare it with an arrow, as in `param w: X -> H`, or name the axes to sum: `dot[K](a, b)`",
        )
    if not isinstance(x, Tensor):
        raise Refusal("E0231", "the left side of `@` must be a tensor", parts=((0, "this is a number"),))
    check_map(x, w)
    start = len(w.stacked)
    places = tuple(range(start, start + w.left))
    both = [(x.position(axis), i) for i, axis in enumerate(w.stacked) if axis in x.axes]
    check_pairs(x, w, [*both, *((x.position(axis), j) for axis, j in zip(w.from_axes, places, strict=True))])
    return through_chosen(x, w) or contract(x, w, w.from_axes, places)


def check_map(x: Tensor, w: Tensor) -> None:
    for axis in w.from_axes:
        if axis not in x.axes:
            raise Refusal(
                "E0232",
                f"the map takes {' '.join(w.from_axes)}, and the value has no {axis}",
                parts=((0, f"axes: {described(x)}"), (1, f"maps {arrow(w)}")),
                help=other_way(x, w),
            )


def other_way(x: Tensor, w: Tensor) -> str | None:
    """Where the value has the axes behind the arrow, the arrow points the wrong way."""
    if not set(w.to_axes) <= set(x.axes):
        return None
    return f"declare it the other way round: `{' '.join(w.to_axes)} -> {' '.join(w.from_axes)}`"


def arrow(w: Tensor) -> str:
    stacked = f"{' '.join(w.stacked)} | " if w.stacked else ""
    return f"{stacked}{' '.join(w.from_axes)} -> {' '.join(w.to_axes)}"


def dot(axes: Axes, a: Value, b: Value) -> Tensor:
    """`dot[axes](a, b)`."""
    for i, value in enumerate((a, b)):
        if not isinstance(value, Tensor) or any(axis not in value.axes for axis in axes):
            lacks = next(axis for axis in axes if not isinstance(value, Tensor) or axis not in value.axes)
            raise Refusal(
                "E0203",
                f"`dot` sums over {lacks}, and one side has no {lacks}",
                parts=((i, f"axes: {described(value)}"),),
            )
    assert isinstance(a, Tensor) and isinstance(b, Tensor)
    return contract(a, b, axes, b.positions(axes))


def contract(a: Tensor, b: Tensor, over: Axes, b_over: Sequence[int]) -> Tensor:
    """Sum of products over `over` (at `b_over` in b), in a's stored order of them."""
    a, b = floats(a), floats(b)
    pairs = sorted(zip(a.positions(over), b_over, strict=True))
    own = [i for i in range(len(b.axes)) if i not in set(b_over)]
    shared = [i for i in own if b.axes[i] in a.axes and b.axes[i] not in over]
    check_pairs(a, b, [*pairs, *((a.position(b.axes[i]), i) for i in shared)])
    kept = [axis for axis in a.axes if axis not in over]
    axes = (*kept, *(b.axes[i] for i in own if i not in shared))
    check_distinct(axes)
    node = make(
        "contract",
        a.node,
        b.node,
        a_over=tuple(i for i, _ in pairs),
        b_over=tuple(j for _, j in pairs),
        a_batch=tuple(a.position(b.axes[i]) for i in shared),
        b_batch=tuple(shared),
    )
    return Tensor(node, axes, entered=origins(a, b))


def check_pairs(a: Tensor, b: Tensor, pairs: Sequence[tuple[int, int]]) -> None:
    unequal = [(i, j) for i, j in pairs if a.node.shape[i] != b.node.shape[j]]
    if unequal:
        i, j = unequal[0]
        raise Refusal(
            "E0211",
            f"{a.axes[i]} has two sizes here: {a.node.shape[i]} and {b.node.shape[j]}",
            parts=((0, f"axes: {described(a)}"), (1, f"axes: {described(b)}")),
            help=to_meet([(a.axes[i], a.node.shape[i], b.node.shape[j]) for i, j in unequal], b.is_map),
        )


def to_meet(unequal: Sequence[tuple[str, int, int]], map: bool) -> str:
    """What to do about axes of two sizes: a map's can have names of their own, others are cut."""
    if not map:
        return ", ".join(f"`[{axis}: ..{min(sizes)}]`" for axis, *sizes in unequal) + " takes so many of the longer one"
    old, new = " ".join(axis for axis, *_ in unequal), " ".join(f"{axis}2" for axis, *_ in unequal)
    dims = ", ".join(f"{axis}2={size}" for axis, size, _ in unequal)
    return f"declare `dim {dims}`, say `[{old}->{new}]` on the left, and {new} where the map is declared"


def check_distinct(axes: Axes) -> None:
    for axis in axes:
        if axes.count(axis) > 1:
            raise Refusal(
                "E0233",
                f"the result would have {axis} twice",
                help=f"rename one of them first, as in `x[{axis}->{axis}']`",
            )
