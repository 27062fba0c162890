"""The contract's orders written once more, as slow loops over Python numbers.

Takes: lists of floats that are float32 values. Promises: exact rational arithmetic, rounded to float32 by rules of
its own (no numpy, no float64 rounding on the way), so that it shares no code and no shortcut with the reference.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

Combine = Callable[[float, float], float]


def f32(x: float) -> float:
    """x rounded to float32 (struct rounds to nearest even)."""
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def rounded(x: Fraction, zero: float) -> float:
    """The float32 nearest to x, ties to even; `zero` where x is 0, with its sign."""
    if x == 0:
        return zero
    exponent = max(math.floor(math.log2(abs(x))) - 25, -149)
    while abs(x) >= Fraction(2) ** (exponent + 24):
        exponent += 1
    unit = Fraction(2) ** exponent
    whole = round(x / unit)  # ties to even
    if abs(whole) >= 2 ** (128 - exponent):
        return math.copysign(math.inf, x)
    return math.copysign(float(abs(whole) * unit), x)


def add(a: float, b: float) -> float:
    return rounded(Fraction(a) + Fraction(b), a + b)


def fma(a: float, b: float, c: float) -> float:
    """a * b + c of finite numbers with one rounding."""
    return rounded(Fraction(a) * Fraction(b) + Fraction(c), a * b + c)


def larger(a: float, b: float) -> float:
    return a if a > b else b


def adjacent_tree(values: list[float], combine: Combine) -> float:
    while len(values) > 1:
        values = [combine(*values[i : i + 2]) if i + 1 < len(values) else values[i] for i in range(0, len(values), 2)]
    return values[0]


def row(values: list[float], combine: Combine) -> float:
    """Row order: blocks of 4096, 32 lanes, a halving tree, the adjacent tree over blocks."""
    return adjacent_tree([lanes(values[i : i + 4096], combine) for i in range(0, len(values), 4096)], combine)


def lanes(block: list[float], combine: Combine) -> float:
    table: dict[int, float] = {}
    for i, value in enumerate(block):
        table[i % 32] = combine(table[i % 32], value) if i >= 32 else value
    for half in (16, 8, 4, 2, 1):
        for lane in range(half):
            if lane in table and lane + half in table:
                table[lane] = combine(table[lane], table[lane + half])
    return table[0]


def column_sum(values: list[float]) -> float:
    leaves = []
    for start in range(0, len(values), 256):
        acc = 0.0
        for value in values[start : start + 256]:
            acc = add(acc, value)
        leaves.append(acc)
    return adjacent_tree(leaves, add)


def column_max(values: list[float]) -> float:
    leaves = []
    for start in range(0, len(values), 256):
        acc, *rest = values[start : start + 256]
        for value in rest:
            acc = larger(acc, value)
        leaves.append(acc)
    return adjacent_tree(leaves, larger)


def dot(a: list[float], b: list[float]) -> float:
    """One element of a contraction."""
    leaves = []
    for start in range(0, len(a), 256):
        acc = 0.0
        for x, y in zip(a[start : start + 256], b[start : start + 256], strict=True):
            acc = fma(x, y, acc)
        leaves.append(acc)
    return adjacent_tree(leaves, add)
