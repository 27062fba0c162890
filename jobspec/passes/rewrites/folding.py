"""Constants computed at compile time, by arithmetic that is exact or correctly rounded by construction.

Takes: elementwise nodes whose operands are constants of one bit pattern. Promises: the bits that the contract gives;
where plain Python numbers do not give them for sure (NaN, infinities, subnormals, library functions) nothing is folded.
A float64 +, -, *, / of two float32, rounded to float32, is correctly rounded since 53 ≥ 2 · 24 + 2.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Sequence
from math import floor, isfinite

from jobspec.ir.build import f32_bits, fill_bits
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node
from jobspec.passes.rewrites.patterns import Rule, filled

Number = int | float | bool
_LEAST_NORMAL = 2.0**-126


def shift_left(a: int, amount: int) -> int:
    return a << (amount & 31)


def shift_right(a: int, amount: int) -> int:
    return a >> (amount & 31)


def greater(a: Number, b: Number) -> Number:
    return a if a > b else b


def smaller(a: Number, b: Number) -> Number:
    return a if a < b else b


def select(condition: Number, yes: Number, no: Number) -> Number:
    return yes if condition else no


ANY: dict[str, Callable[..., Number]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg, "max": greater, "min": smaller,
    "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne, "select": select,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor, "shl": shift_left, "shr": shift_right,
    "mulhi": lambda a, b: (a * b) >> 32, "div": operator.truediv, "abs": abs,
    "floor": lambda x: x if x == 0 else floor(x),
}  # fmt: skip


def value_of(dtype: str, bits: int) -> Number:
    """The number that a bit pattern stands for."""
    if dtype == "f32":
        wide: float = struct.unpack("<f", struct.pack("<I", bits))[0]
        return wide
    if dtype == "bool":
        return bool(bits)
    return bits - (1 << 32) if dtype == "i32" and bits >> 31 else bits


def bits_of(dtype: str, value: Number) -> int | None:
    """The bit pattern of a number, wrapped or rounded; None for floats near the ends of the range."""
    if dtype != "f32":
        width = {"bool": 1, "u8": 8, "u16": 16}.get(dtype, 32)
        return int(value) & ((1 << width) - 1)
    try:
        return f32_bits(value) if is_plain(float(value)) else None
    except OverflowError:
        return None


def is_plain(value: Number) -> bool:
    """Neither NaN nor infinite nor subnormal."""
    return not isinstance(value, float) or value == 0 or (isfinite(value) and abs(value) >= _LEAST_NORMAL)


def computed(node: Node, values: Sequence[Number]) -> Number | None:
    """The result of `node` on `values`; None where it is not folded."""
    if node.op == "cast":
        return values[0] if not isinstance(values[0], float) or 0 <= values[0] < 2**31 else None
    if node.op == "not":
        return not values[0] if node.dtype == "bool" else ~int(values[0])
    if node.op not in ANY or (node.op == "div" and values[1] == 0):
        return None
    return ANY[node.op](*values)


def rule_computed(node: Node) -> Node | None:
    """An elementwise operation on constants."""
    patterns = [fill_bits(x) for x in node.args]
    if any(bits is None for bits in patterns) or not node.args:
        return None
    values = [value_of(x.dtype, bits) for x, bits in zip(node.args, patterns, strict=True) if bits is not None]
    if not all(map(is_plain, values)):
        return None
    result = computed(node, values)
    bits = None if result is None else bits_of(node.dtype, result)
    return None if bits is None else filled(node.type, bits)


RULES: dict[str, tuple[Rule, ...]] = {
    name: (rule_computed,) for name, op in OPS.items() if op.has("elementwise") and not op.has("library")
}
