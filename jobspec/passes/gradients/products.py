"""Arithmetic on cotangents that leaves out what is known beforehand.

Takes: nodes of one type. Promises: a product with the constant 1 is the other factor, and an absent
cotangent (None) is zero and costs nothing; anything else is the plain operation. Part of a gradient's meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.build import full, is_fill, zeros
from jobspec.ir.program import Node, make

Cotangents = tuple[Node | None, ...]


def times(a: Node, b: Node) -> Node:
    """a * b."""
    if is_fill(a, 1.0):
        return b
    return a if is_fill(b, 1.0) else make("mul", a, b)


def scaled(x: Node, factor: float) -> Node:
    """x * factor, the factor rounded to float32."""
    return times(x, full(x.type, factor))


def where(condition: Node, x: Node) -> Node:
    """x where the condition holds, +0.0 elsewhere."""
    return make("select", condition, x, zeros(x.type))


def unless(condition: Node, x: Node) -> Node:
    """+0.0 where the condition holds, x elsewhere."""
    return make("select", condition, zeros(x.type), x)


def total(parts: Sequence[Node]) -> Node:
    """((p0 + p1) + p2) + …"""
    result = parts[0]
    for part in parts[1:]:
        result = make("add", result, part)
    return result
