"""Rewrites of arithmetic that keep every bit, signed zeros and infinities included.

Takes: a node. Promises: see patterns.Rule. Nothing here reorders float arithmetic: x + 0.0 stays (it turns
-0.0 into +0.0), x * 0.0 stays (x may be infinite).
"""

from __future__ import annotations

import struct

from jobspec.ir.build import fill_bits, full
from jobspec.ir.program import Node, make
from jobspec.passes.rewrites.patterns import Rule, filled, is_number, other_than

_MASK = 0xFFFFFFFF


def rule_times_one(node: Node) -> Node | None:
    return other_than(node, 1)


def rule_times_minus_one(node: Node) -> Node | None:
    x = other_than(node, -1)
    return None if x is None else make("neg", x)


def rule_integer_times_zero(node: Node) -> Node | None:
    x = other_than(node, 0) if node.dtype != "f32" else None
    return None if x is None else full(node.type, 0)


def rule_signs_cancel(node: Node) -> Node | None:
    """(-a) * (-b), (-a) / (-b)"""
    a, b = node.args
    return make(node.op, a.args[0], b.args[0]) if a.op == b.op == "neg" else None


def rule_plus_nothing(node: Node) -> Node | None:
    """x + -0.0 in floats, x + 0 in integers."""
    return other_than(node, -0.0 if node.dtype == "f32" else 0)


def rule_plus_negative(node: Node) -> Node | None:
    a, b = node.args
    if b.op == "neg":
        return make("sub", a, b.args[0])
    return make("sub", b, a.args[0]) if a.op == "neg" else None


def rule_added_side_by_side(node: Node) -> Node | None:
    """pad(x) + pad(y) that lie side by side along one axis, +0.0 around: joined, each element takes its +0.0 still, as
    it makes +0.0 of -0.0. The gradient of what was cut into pieces is such a sum."""
    a, b = node.args
    axis = padded_along(a)
    if axis is None or axis != padded_along(b):
        return None
    a, b = (a, b) if a["low"][axis] < b["low"][axis] else (b, a)
    if a["low"][axis] + a.args[0].shape[axis] != b["low"][axis]:
        return None
    joined = make("concat", plus_zero(a.args[0], axis), plus_zero(b.args[0], axis), axis=axis)
    return make("pad", joined, low=a["low"], high=b["high"], inner=a["inner"], bits=0)


def padded_along(x: Node) -> int | None:
    """The one axis along which `x` has zeros before or behind its operand."""
    if x.op != "pad" or x["bits"] or any(x["inner"]):
        return None
    axes = [i for i, margins in enumerate(zip(x["low"], x["high"], strict=True)) if any(margins)]
    return axes[0] if len(axes) == 1 else None


def plus_zero(x: Node, axis: int) -> Node:
    """x + 0, below a reshape and what is joined along `axis`; once is enough."""
    if x.op == "reshape" or (x.op == "concat" and x["axis"] == axis):
        return make(x.op, *(plus_zero(part, axis) for part in x.args), **dict(x.attrs))
    return x if x.op == "add" and other_than(x, 0) is not None else make("add", x, filled(x.type, 0))


def rule_minus_nothing(node: Node) -> Node | None:
    return node.args[0] if is_number(node.args[1], 0) else None


def rule_minus_negative(node: Node) -> Node | None:
    a, b = node.args
    return make("add", a, b.args[0]) if b.op == "neg" else None


def rule_minus_from_nothing(node: Node) -> Node | None:
    """-0.0 - x in floats, 0 - x in integers."""
    a, b = node.args
    return make("neg", b) if is_number(a, -0.0 if node.dtype == "f32" else 0) else None


def rule_integer_minus_itself(node: Node) -> Node | None:
    a, b = node.args
    return full(node.type, 0) if a is b and node.dtype != "f32" else None


def rule_over_one(node: Node) -> Node | None:
    return node.args[0] if is_number(node.args[1], 1) else None


def rule_over_power_of_two(node: Node) -> Node | None:
    """x / 2^k = x * 2^-k, both correctly rounded, where 2^-k is a normal number."""
    bits = fill_bits(node.args[1])
    if bits is None or bits & 0x007FFFFF or not 1 <= (bits >> 23) & 0xFF <= 253:
        return None
    value: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return make("mul", node.args[0], full(node.type, 1.0 / value))


def rule_double_negation(node: Node) -> Node | None:
    (x,) = node.args
    return x.args[0] if x.op == node.op else None


def rule_absolute_of_sign(node: Node) -> Node | None:
    (x,) = node.args
    return make("abs", x.args[0]) if x.op in ("neg", "abs") else None


def rule_fused_times_one(node: Node) -> Node | None:
    a, b, c = node.args
    if is_number(b, 1):
        return make("add", a, c)
    return make("add", b, c) if is_number(a, 1) else None


def rule_fused_plus_nothing(node: Node) -> Node | None:
    a, b, c = node.args
    return make("mul", a, b) if is_number(c, -0.0) else None


def rule_twice_the_same(node: Node) -> Node | None:
    """max, min, and, or of x and x."""
    a, b = node.args
    return a if a is b else None


def rule_differs_from_itself(node: Node) -> Node | None:
    """x xor x"""
    a, b = node.args
    return full(node.type, 0) if a is b else None


def rule_bits_unchanged(node: Node) -> Node | None:
    """and with all ones; or, xor, shl, shr with zero."""
    neutral = (1 if node.dtype == "bool" else _MASK) if node.op == "and" else 0
    a, b = node.args
    if fill_bits(b) == neutral:
        return a
    return b if fill_bits(a) == neutral and node.op in ("and", "or", "xor") else None


def rule_bits_absorbed(node: Node) -> Node | None:
    """and with zero; or with all ones."""
    absorbing = 0 if node.op == "and" else 1 if node.dtype == "bool" else _MASK
    return next((x for x in node.args if fill_bits(x) == absorbing), None)


def rule_opposite_comparison(node: Node) -> Node | None:
    """not (a = b), not (a ≠ b): each is the other's negation, on NaN too."""
    opposite = {"eq": "ne", "ne": "eq"}
    (x,) = node.args
    return make(opposite[x.op], *x.args) if x.op in opposite else None


RULES: dict[str, tuple[Rule, ...]] = {
    "mul": (rule_times_one, rule_times_minus_one, rule_integer_times_zero, rule_signs_cancel),
    "add": (rule_plus_nothing, rule_plus_negative, rule_added_side_by_side),
    "sub": (rule_minus_nothing, rule_minus_negative, rule_minus_from_nothing, rule_integer_minus_itself),
    "div": (rule_over_one, rule_over_power_of_two, rule_signs_cancel),
    "neg": (rule_double_negation,),
    "abs": (rule_absolute_of_sign,),
    "fma": (rule_fused_times_one, rule_fused_plus_nothing),
    "max": (rule_twice_the_same,),
    "min": (rule_twice_the_same,),
    "and": (rule_twice_the_same, rule_bits_unchanged, rule_bits_absorbed),
    "or": (rule_twice_the_same, rule_bits_unchanged, rule_bits_absorbed),
    "xor": (rule_differs_from_itself, rule_bits_unchanged),
    "shl": (rule_bits_unchanged,),
    "shr": (rule_bits_unchanged,),
    "not": (rule_double_negation, rule_opposite_comparison),
}
