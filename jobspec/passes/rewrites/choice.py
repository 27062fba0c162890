"""Rewrites of select, cast and bitcast.

Takes: a node. Promises: see patterns.Rule.
"""

from __future__ import annotations

from jobspec.ir.build import fill_bits
from jobspec.ir.program import Node, make
from jobspec.passes.rewrites.patterns import Rule

#: element type → types that hold all its values exactly
WIDENS: dict[str, tuple[str, ...]] = {
    "bool": ("i32", "u32"),
    "u8": ("i32", "u32"),
    "u16": ("i32", "u32"),
}
WORDS = ("i32", "u32")


def rule_known_condition(node: Node) -> Node | None:
    condition, yes, no = node.args
    bits = fill_bits(condition)
    return None if bits is None else yes if bits else no


def rule_no_difference(node: Node) -> Node | None:
    _, yes, no = node.args
    return yes if yes is no else None


def rule_negated_condition(node: Node) -> Node | None:
    condition, yes, no = node.args
    return make("select", condition.args[0], no, yes) if condition.op == "not" else None


def rule_asked_again(node: Node) -> Node | None:
    """A choice inside a choice by the same condition."""
    condition, yes, no = node.args
    if yes.op == "select" and yes.args[0] is condition:
        return make("select", condition, yes.args[1], no)
    if no.op == "select" and no.args[0] is condition:
        return make("select", condition, yes, no.args[2])
    return None


def rule_same_type(node: Node) -> Node | None:
    (x,) = node.args
    return x if x.dtype == node.dtype else None


def rule_cast_of_cast(node: Node) -> Node | None:
    """Through a type that holds every value, or between words of equal width."""
    (x,) = node.args
    if x.op != "cast":
        return None
    source = x.args[0]
    widened = x.dtype in WIDENS.get(source.dtype, ()) and node.dtype in ("i32", "u32", "f32")
    wrapped = source.dtype in WORDS and x.dtype in WORDS and node.dtype != "f32"
    return make("cast", source, dtype=node.dtype) if widened or wrapped else None


def rule_bitcast_of_bitcast(node: Node) -> Node | None:
    """Not f32 in between two integers: it makes NaNs canonical."""
    (x,) = node.args
    if x.op != "bitcast" or (x.dtype == "f32" and node.dtype != "f32"):
        return None
    return make("bitcast", x.args[0], dtype=node.dtype)


RULES: dict[str, tuple[Rule, ...]] = {
    "select": (rule_known_condition, rule_no_difference, rule_negated_condition, rule_asked_again),
    "cast": (rule_same_type, rule_cast_of_cast),
    "bitcast": (rule_same_type, rule_bitcast_of_bitcast),
}
