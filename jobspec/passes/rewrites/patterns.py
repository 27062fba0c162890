"""What rewrite rules ask of a node.

Takes: nodes. Promises: a rule is a function from a node to the node that may stand in its place, bit for bit (but for
the bits of a NaN, which nobody sees), or None where it has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.ir.build import f32_bits, fill_bits
from jobspec.ir.program import Node, make
from jobspec.ir.types import Type

Rule = Callable[[Node], Node | None]


def filled(kind: Type, bits: int) -> Node:
    """A constant of type `kind` with one bit pattern."""
    return make("const", dtype=kind.dtype, shape=kind.shape, bits=(bits,))


def is_number(node: Node, value: float) -> bool:
    """Whether every element of the constant `node` is `value`; +0.0 and -0.0 differ."""
    bits = fill_bits(node)
    if bits is None or node.dtype == "bool":
        return False
    return bits == (f32_bits(value) if node.dtype == "f32" else int(value) & 0xFFFFFFFF)


def other_than(node: Node, value: float) -> Node | None:
    """The operand of a commutative `node` beside the constant `value`, if there is one."""
    a, b = node.args
    if is_number(b, value):
        return a
    return b if is_number(a, value) else None
