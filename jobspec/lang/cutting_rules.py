"""How each operation treats the axis of the examples.

Takes: a region and a node of it one of whose operands has a place for every example, or is a sum over examples.
Promises: the node's kind and its image for one piece; Mixed where places of different examples meet other than in a
sum. An op that is not in the table mixes.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.ir.program import Node, make, rebuild
from jobspec.lang.cutting import Mixed, Part, Region, Rules, Whole, same_axis
from jobspec.lang.cutting_loops import get, loop


def one_axis(region: Region, node: Node) -> int:
    """The axis of the examples, which all operands that have one must share."""
    axes = {axis for a in node.args if (axis := region.axis_of(a)) is not None}
    if len(axes) != 1:
        raise Mixed(node)
    return axes.pop()


def only(region: Region, node: Node) -> tuple[Node, int]:
    """Image and axis of a single operand."""
    return region.images[node.args[0]], one_axis(region, node)


def elementwise(region: Region, node: Node) -> None:
    axis = one_axis(region, node)
    region.each(node, axis, rebuild(node, tuple(region.cut(a, axis, node) for a in node.args)))


def reshape(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    place = same_axis(node.args[0].shape, axis, node["shape"])
    if place is None:
        raise Mixed(node)
    region.each(node, place, make("reshape", x, shape=region.shortened(node["shape"], place)))


def permute(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    region.each(node, node["axes"].index(axis), rebuild(node, (x,)))


def broadcast(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    place = node["axes"][axis]
    region.each(node, place, make("broadcast", x, shape=region.shortened(node["shape"], place), axes=node["axes"]))


def slice_(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    if (node["start"][axis], node["stop"][axis], node["step"][axis]) != (0, node.args[0].shape[axis], 1):
        raise Mixed(node)
    stop = region.shortened(node["stop"], axis)
    region.each(node, axis, make("slice", x, start=node["start"], stop=stop, step=node["step"]))


def along_others(region: Region, node: Node) -> None:
    """flip: any axes but that of the examples."""
    x, axis = only(region, node)
    if axis in node["axes"]:
        raise Mixed(node)
    region.each(node, axis, rebuild(node, (x,)))


def window(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    if axis in node["axes"]:
        raise Mixed(node)
    place = axis if axis < node["axes"][-1] else axis + len(node["axes"])
    region.each(node, place, rebuild(node, (x,)))


def pad(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    if node["low"][axis] or node["high"][axis] or node["inner"][axis]:
        raise Mixed(node)
    region.each(node, axis, rebuild(node, (x,)))


def concat(region: Region, node: Node) -> None:
    axis = one_axis(region, node)
    if node["axis"] == axis:
        raise Mixed(node)
    elementwise(region, node)


def gather(region: Region, node: Node) -> None:
    (x, index), shared = node.args, node["batch"]
    held, asked = region.axis_of(x), region.axis_of(index)
    if held == shared or (asked is not None and asked >= shared and held is not None):
        raise Mixed(node)
    common = asked if asked is not None and asked < shared else held if held is not None and held < shared else None
    if common is not None:
        image = rebuild(node, (region.cut(x, common, node), region.cut(index, common, node)))
        region.each(node, common, image)
    elif asked is not None:
        region.each(node, asked, rebuild(node, (region.image(x, node), region.images[index])))
    else:
        assert held is not None
        place = len(index.shape) + held - shared - 1
        region.each(node, place, rebuild(node, (region.images[x], region.image(index, node))))


def scatter_add(region: Region, node: Node) -> None:
    (x, index), shared = node.args, node["batch"]
    held = region.axis_of(x) if region.axis_of(x) is not None else region.axis_of(index)
    assert held is not None
    rank = len(index.shape)
    if region.axis_of(index) not in (None, held):
        raise Mixed(node)
    cut_index = region.cut(index, held, node) if held < rank else region.image(index, node)
    image = rebuild(node, (region.cut(x, held, node), cut_index))
    if shared <= held < rank:
        region.part(node, image)
    else:
        region.each(node, held if held < shared else shared + 1 + held - rank, image)


def contract(region: Region, node: Node) -> None:
    a, b = node.args
    held, other = region.axis_of(a), region.axis_of(b)
    paired = dict(zip((*node["a_over"], *node["a_batch"]), (*node["b_over"], *node["b_batch"]), strict=True))
    back = {j: i for i, j in paired.items()}
    i = held if held is not None else back.get(other) if other is not None else None
    j = other if other is not None else paired.get(held) if held is not None else None
    if held is not None and other is not None and paired.get(held) != other:
        raise Mixed(node)
    left = region.cut(a, i, node) if i is not None else region.image(a, node)
    right = region.cut(b, j, node) if j is not None else region.image(b, node)
    image = rebuild(node, (left, right))
    if i is not None and i in node["a_over"]:
        region.part(node, image)
    else:
        region.each(node, contracted_place(node, i, j), image)


def contracted_place(node: Node, i: int | None, j: int | None) -> int:
    """Where the axis i of a, or j of b alone, stands in the result."""
    kept = [k for k in range(len(node.args[0].shape)) if k not in node["a_over"]]
    if i is not None:
        return kept.index(i)
    taken = (*node["b_over"], *node["b_batch"])
    own = [k for k in range(len(node.args[1].shape)) if k not in taken]
    assert j is not None
    return len(kept) + own.index(j)


def experts(region: Region, node: Node) -> None:
    """Tokens of single examples, or those of all through each example's choice, through maps that all share."""
    x, w, index = node.args
    shared, held, asked = len(x.shape) - 1, region.axis_of(x), region.axis_of(index)
    axis = asked if held is None else held
    if axis is None or asked not in (None, axis) or held == shared or region.axis_of(w) is not None:
        raise Mixed(node)
    tokens = region.cut(x, axis, node) if axis < shared else region.image(x, node)
    region.each(node, axis, rebuild(node, (tokens, region.image(w, node), region.cut(index, axis, node))))


def sum_(region: Region, node: Node) -> None:
    x, axis = only(region, node)
    image = rebuild(node, (x,))
    if axis in node["axes"]:
        region.part(node, image)
    else:
        region.each(node, axis - sum(k < axis for k in node["axes"]), image)


def fold(region: Region, node: Node) -> None:
    """reduce_max, argmax: over any axes but that of the examples."""
    x, axis = only(region, node)
    if axis in node["axes"]:
        raise Mixed(node)
    region.each(node, axis - sum(k < axis for k in node["axes"]), rebuild(node, (x,)))


EACH: dict[str, Callable[[Region, Node], None]] = {
    "loop": loop,
    "get": get,
    "stop": elementwise,
    "reshape": reshape,
    "permute": permute,
    "broadcast": broadcast,
    "slice": slice_,
    "flip": along_others,
    "window": window,
    "pad": pad,
    "concat": concat,
    "gather": gather,
    "scatter_add": scatter_add,
    "contract": contract,
    "experts": experts,
    "sum": sum_,
    "reduce_max": fold,
    "argmax": fold,
}

# ---- sums over examples ----

#: linear in their one operand, or in all of them together
LINEAR = frozenset({"neg", "stop", "reshape", "permute", "broadcast", "slice", "flip", "window", "sum"})
TOGETHER = frozenset({"add", "sub", "concat"})
#: linear in each operand by itself
PRODUCTS = frozenset({"mul", "contract"})


def part(region: Region, node: Node) -> None:
    """A node with a part among its operands, and no value of single examples."""
    image = linear_image(region, node) if node in region.linear else None
    if image is not None:
        region.part(node, image)
        return
    if node in region.linear:
        region.ask(node.args)
    region.after(node)


def linear_image(region: Region, node: Node) -> Node | None:
    """The piece's value where the node is linear in its parts; None where it is not."""
    kinds = [region.kinds[a] for a in node.args]
    parts = [i for i, kind in enumerate(kinds) if isinstance(kind, Part)]
    if any(isinstance(kind, Whole) and kind.after for kind in kinds):
        return None
    if node.op in LINEAR or (node.op == "pad" and node["bits"] == 0):
        return rebuild(node, (region.images[node.args[0]],))
    if node.op in TOGETHER:
        return rebuild(node, tuple(region.as_part(a, node) for a in node.args))
    alone = (node.op in PRODUCTS and len(parts) == 1) or (node.op in ("div", "gather") and parts == [0])
    if alone:
        return rebuild(node, tuple(region.image(a, node) for a in node.args))
    if node.op == "select" and 0 not in parts:
        condition, *sides = node.args
        return rebuild(node, (region.image(condition, node), *(region.as_part(a, node) for a in sides)))
    return None


RULES = Rules(EACH, elementwise, part)
