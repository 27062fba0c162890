"""Rewrites of movement: identities fall away, chains become one step, repeated values are repeated late.

Takes: a node. Promises: see patterns.Rule. Elements only change their path, never their place or value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from jobspec.ir.build import broadcast, fill_bits, inverse, permute, reshape, sliced
from jobspec.ir.contract import row_ordered
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node, make
from jobspec.ir.types import Type
from jobspec.passes.rewrites.patterns import Rule, filled

Ints = tuple[int, ...]


def rule_filled(node: Node) -> Node | None:
    """Movement of a constant that is the same everywhere (not gather: it has indices to check)."""
    patterns = {fill_bits(x) for x in node.args}
    bits = patterns.pop()
    if bits is None or patterns or (node.op == "pad" and node["bits"] != bits):
        return None
    return filled(node.type, bits)


def rule_unmoved(node: Node) -> Node | None:
    """reshape, permute, broadcast, slice, pad, concat that leave everything in place."""
    x = node.args[0]
    if node.op == "permute":
        return x if node["axes"] == tuple(range(len(x.shape))) else None
    return x if x.shape == node.shape and len(node.args) == 1 else None


def rule_uniform(node: Node) -> Node | None:
    """Movement of one element repeated everywhere."""
    x = node.args[0]
    if x.op != "broadcast" or prod(x.args[0].shape) != 1 or (len(x.args[0].shape) == 0 and node.op == "broadcast"):
        return None
    return broadcast(reshape(x.args[0], ()), node.shape, ())


def rule_reshaped_twice(node: Node) -> Node | None:
    (x,) = node.args
    return reshape(x.args[0], node.shape) if x.op == "reshape" else None


def rule_reshaped_constant(node: Node) -> Node | None:
    (x,) = node.args
    return make("const", dtype=x.dtype, shape=node.shape, bits=x["bits"]) if x.op == "const" else None


def rule_permuted_twice(node: Node) -> Node | None:
    (x,) = node.args
    return permute(x.args[0], tuple(x["axes"][i] for i in node["axes"])) if x.op == "permute" else None


def rule_permuted_in_name_only(node: Node) -> Node | None:
    """Only axes of size 1 change places."""
    (x,) = node.args
    moved = [i for i in node["axes"] if x.shape[i] != 1]
    return reshape(x, node.shape) if moved == sorted(moved) else None


def rule_permuted_after_repeat(node: Node) -> Node | None:
    """permute(broadcast(x)) = broadcast(permute(x))"""
    (x,) = node.args
    if x.op != "broadcast":
        return None
    places = [node["axes"].index(axis) for axis in x["axes"]]
    order = tuple(sorted(range(len(places)), key=places.__getitem__))
    return broadcast(permute(x.args[0], order), node.shape, tuple(sorted(places)))


def rule_repeated_twice(node: Node) -> Node | None:
    (x,) = node.args
    if x.op != "broadcast":
        return None
    return broadcast(x.args[0], node.shape, tuple(node["axes"][axis] for axis in x["axes"]))


def rule_repeated_after_unit_axes(node: Node) -> Node | None:
    """broadcast(reshape(x)) where the reshape only adds axes of size 1."""
    (x,) = node.args
    if x.op != "reshape" or len(x.shape) <= len(x.args[0].shape):
        return None
    wide = matched(x.args[0].shape, x.shape)
    return None if wide is None else broadcast(x.args[0], node.shape, tuple(node["axes"][i] for i in wide))


def matched(shape: Ints, longer: Ints) -> Ints | None:
    """Which axes of `longer` are those of `shape`, if the others have size 1."""
    found, at = [], 0
    for i, n in enumerate(longer):
        if at < len(shape) and n == shape[at]:
            found.append(i)
            at += 1
        elif n != 1:
            return None
    return tuple(found) if at == len(shape) else None


def rule_cut_twice(node: Node) -> Node | None:
    (x,) = node.args
    if x.op != "slice":
        return None
    start = tuple(a + s * b for a, s, b in zip(x["start"], x["step"], node["start"], strict=True))
    step = tuple(s * t for s, t in zip(x["step"], node["step"], strict=True))
    stop = tuple(a + s * (n - 1) + 1 for a, s, n in zip(start, step, node.shape, strict=True))
    return sliced(x.args[0], start, stop, step)


def rule_cut_after_repeat(node: Node) -> Node | None:
    """slice(broadcast(x)) = broadcast(slice(x))"""
    (x,) = node.args
    if x.op != "broadcast":
        return None
    start, stop, step = (tuple(node[key][axis] for axis in x["axes"]) for key in ("start", "stop", "step"))
    return broadcast(sliced(x.args[0], start, stop, step), node.shape, x["axes"])


def rule_cut_out_of_one_part(node: Node) -> Node | None:
    """A slice of concatenated parts that lies within one of them."""
    (x,) = node.args
    if x.op != "concat":
        return None
    axis, begin = x["axis"], 0
    for part in x.args:
        end = begin + part.shape[axis]
        if begin <= node["start"][axis] and node["stop"][axis] <= end:
            return sliced(part, shifted(node["start"], axis, -begin), shifted(node["stop"], axis, -begin), node["step"])
        begin = end
    return None


def shifted(places: Ints, axis: int, by: int) -> Ints:
    return tuple(n + by if i == axis else n for i, n in enumerate(places))


def rule_cut_within_padding(node: Node) -> Node | None:
    """A slice of a padded tensor that takes no padding."""
    (x,) = node.args
    if x.op != "pad" or any(x["inner"]):
        return None
    start = tuple(a - low for a, low in zip(node["start"], x["low"], strict=True))
    stop = tuple(a - low for a, low in zip(node["stop"], x["low"], strict=True))
    inside = all(a >= 0 and b <= n for a, b, n in zip(start, stop, x.args[0].shape, strict=True))
    return sliced(x.args[0], start, stop, node["step"]) if inside else None


def rule_cut_through_padding(node: Node) -> Node | None:
    """A slice, without steps, of a padded tensor: less of the tensor, less padding, no slice."""
    (x,) = node.args
    if x.op != "pad" or any(step != 1 for step in node["step"]):
        return None
    spans = [
        remainder(*span)
        for span in zip(node["start"], node["stop"], x["low"], x["inner"], x.args[0].shape, strict=True)
    ]
    if any(first > last for first, last, _, _ in spans):
        return filled(node.type, x["bits"])
    start, stop = tuple(first for first, _, _, _ in spans), tuple(last + 1 for _, last, _, _ in spans)
    part = sliced(x.args[0], start, stop, node["step"])
    low, high = tuple(low for _, _, low, _ in spans), tuple(high for _, _, _, high in spans)
    return make("pad", part, low=low, high=high, inner=x["inner"], bits=x["bits"])


def remainder(start: int, stop: int, low: int, inner: int, size: int) -> tuple[int, int, int, int]:
    """What places start … stop-1 of a padded axis hold: first and last element, padding before and after them."""
    step = inner + 1
    first = max(0, -((low - start) // step))
    last = min(size - 1, (stop - 1 - low) // step)
    return first, last, low + first * step - start, stop - 1 - (low + last * step)


def rule_cut_after_permuting(node: Node) -> Node | None:
    """slice(permute(x)) = permute(slice(x))"""
    (x,) = node.args
    if x.op != "permute":
        return None
    start, stop, step = (tuple(node[key][i] for i in inverse(x["axes"])) for key in ("start", "stop", "step"))
    return permute(sliced(x.args[0], start, stop, step), x["axes"])


def rule_cut_after_convolution(node: Node) -> Node | None:
    """A slice, without steps, along the positions of windows that are contracted: fewer windows. (The gradient of
    a padded convolution is cut to what was not padding.)"""
    (x,) = node.args
    if x.op != "contract" or x.args[0].op != "window" or any(step != 1 for step in node["step"]):
        return None
    windows, filters = x.args
    kept = [i for i in range(len(windows.shape)) if i not in x["a_over"]]
    cut = [i for i, n in enumerate(x.shape) if node["stop"][i] - node["start"][i] < n]
    if any(i >= len(kept) or kept[i] not in windows["axes"] or kept[i] in x["a_batch"] for i in cut):
        return None
    spans = {kept[i]: (node["start"][i], node["stop"][i]) for i in cut}
    return make("contract", fewer_windows(windows, spans), filters, **dict(x.attrs))


def fewer_windows(windows: Node, spans: Mapping[int, tuple[int, int]]) -> Node:
    """Only the windows at positions start … stop-1 of some axes."""
    x = windows.args[0]
    start, stop = [0] * len(x.shape), list(x.shape)
    for axis, size, stride in zip(windows["axes"], windows["sizes"], windows["strides"], strict=True):
        if axis in spans:
            first, end = spans[axis]
            start[axis], stop[axis] = first * stride, (end - 1) * stride + size
    return make("window", sliced(x, tuple(start), tuple(stop), (1,) * len(start)), **dict(windows.attrs))


def rule_padded_twice(node: Node) -> Node | None:
    (x,) = node.args
    if x.op != "pad" or x["bits"] != node["bits"] or any(node["inner"]):
        return None
    low, high = (tuple(a + b for a, b in zip(x[key], node[key], strict=True)) for key in ("low", "high"))
    return make("pad", x.args[0], low=low, high=high, inner=x["inner"], bits=x["bits"])


def rule_flipped_twice(node: Node) -> Node | None:
    (x,) = node.args
    if x.op != "flip":
        return None
    axes = tuple(sorted(set(x["axes"]) ^ set(node["axes"])))
    return make("flip", x.args[0], axes=axes) if axes else x.args[0]


def rule_flipped_in_name_only(node: Node) -> Node | None:
    (x,) = node.args
    axes = tuple(i for i in node["axes"] if x.shape[i] > 1)
    if axes == node["axes"]:
        return None if axes else x
    return make("flip", x, axes=axes) if axes else x


def rule_joined_twice(node: Node) -> Node | None:
    """concat(…, concat(…), …) along one axis."""
    if not any(nested(x, node) for x in node.args):
        return None
    parts = [part for x in node.args for part in (x.args if nested(x, node) else (x,))]
    return make("concat", *parts, axis=node["axis"])


def nested(x: Node, node: Node) -> bool:
    return x.op == "concat" and x["axis"] == node["axis"]


def rule_joined_as_before(node: Node) -> Node | None:
    """Neighbouring slices of one tensor, put together again."""
    if len(node.args) < 2 or any(x.op != "slice" or x.args[0] is not node.args[0].args[0] for x in node.args):
        return None
    axis = node["axis"]
    if any(any(s != 1 for s in x["step"]) for x in node.args) or not in_a_row(node.args, axis):
        return None
    first, last = node.args[0], node.args[-1]
    stop = tuple(last["stop"][i] if i == axis else n for i, n in enumerate(first["stop"]))
    return sliced(first.args[0], first["start"], stop, first["step"])


def in_a_row(parts: Sequence[Node], axis: int) -> bool:
    """Whether slices follow one another along `axis` and agree on the others."""

    def others(x: Node, key: str) -> Ints:
        return tuple(n for i, n in enumerate(x[key]) if i != axis)

    pairs = list(pairwise(parts))
    follow = all(a["stop"][axis] == b["start"][axis] for a, b in pairs)
    return follow and all(others(a, key) == others(b, key) for a, b in pairs for key in ("start", "stop"))


def rule_folded_single(node: Node) -> Node | None:
    """A reduction over axes of size 1: rows and maxima start from the element itself."""
    (x,) = node.args
    if any(x.shape[i] != 1 for i in node["axes"]):
        return None
    seedless = node.op == "reduce_max" or row_ordered(len(x.shape), node["axes"])
    return reshape(x, node.shape) if seedless else None


def rule_repeat_late(node: Node) -> Node | None:
    """Elementwise on repeated operands: compute once per distinct element, then repeat."""
    repeats = [x for x in node.args if x.op == "broadcast"]
    if not repeats or any(x.op != "broadcast" and fill_bits(x) is None for x in node.args):
        return None
    axes = tuple(sorted({axis for x in repeats for axis in x["axes"]}))
    shape = tuple(node.shape[axis] for axis in axes)
    if shape == node.shape:
        return None
    operands = [narrowed(x, shape, axes) for x in node.args]
    return broadcast(make(node.op, *operands, **dict(node.attrs)), node.shape, axes)


def narrowed(x: Node, shape: Ints, axes: Ints) -> Node:
    """A broadcast or a constant as a tensor of `shape`, whose axes are `axes` of what it was."""
    bits = fill_bits(x)
    if bits is not None:
        return filled(Type(x.dtype, shape), bits)
    return broadcast(x.args[0], shape, tuple(axes.index(axis) for axis in x["axes"]))


_MOVES: dict[str, tuple[Rule, ...]] = {
    "reshape": (rule_reshaped_constant, rule_unmoved, rule_uniform, rule_reshaped_twice),
    "permute": (
        rule_filled, rule_unmoved, rule_uniform, rule_permuted_twice, rule_permuted_in_name_only,
        rule_permuted_after_repeat,
    ),
    "broadcast": (rule_filled, rule_unmoved, rule_uniform, rule_repeated_twice, rule_repeated_after_unit_axes),
    "slice": (
        rule_filled, rule_unmoved, rule_uniform, rule_cut_twice, rule_cut_after_repeat, rule_cut_out_of_one_part,
        rule_cut_within_padding, rule_cut_through_padding, rule_cut_after_permuting, rule_cut_after_convolution,
    ),
    "flip": (rule_filled, rule_uniform, rule_flipped_in_name_only, rule_flipped_twice),
    "window": (rule_filled, rule_uniform),
    "pad": (rule_filled, rule_unmoved, rule_padded_twice),
    "concat": (rule_filled, rule_unmoved, rule_joined_twice, rule_joined_as_before),
    "sum": (rule_folded_single,),
    "reduce_max": (rule_folded_single,),
}  # fmt: skip

RULES: dict[str, tuple[Rule, ...]] = {
    **_MOVES,
    **{name: (rule_repeat_late,) for name, op in OPS.items() if op.has("elementwise")},
}
