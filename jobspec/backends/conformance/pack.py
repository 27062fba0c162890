"""The conformance pack: what a device must get right, to the bit, before a job may run on it.

Promises: a case per clause of docs/numerics.md that a device can break; small enough to run once per device and
driver in seconds. What a case's result must be, the reference interpreter says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jobspec.backends.conformance.sheet import Case, Sheet, elementwise
from jobspec.backends.conformance.vectors import any_bits, halves, moderate, noisy, pairs, special, spread
from jobspec.ir.kernel import Axis, View
from jobspec.ir.library import LIBRARY, operand_type
from jobspec.ir.ops import OPS

#: elements per chain, row and block borders that the orders must survive; rows, one of which another order must change
LONG, ROW, ROWS = 1300, 4096 + 137, 16


def pack() -> Iterator[Case]:
    """Every case, the most telling first."""
    yield separate()
    yield from arithmetic()
    yield from conversions()
    yield from orders()
    yield from library()


def separate() -> Case:
    """a * b + c as two operations: a device that contracts rounds once."""
    a, b, c = halves()
    sheet = Sheet((Axis(a.size, "outer"),))
    x, y, z = (sheet.load(i, (1,)) for i in range(3))
    sheet.store(sheet.op("add", sheet.op("mul", x, y), z), 3, (1,))
    return sheet.case("multiply and add stay two operations", "fill", a, b, c, np.zeros_like(a))


def arithmetic() -> Iterator[Case]:
    x, y = pairs()
    yield elementwise("fma rounds once", "fma", "f32", "f32", *halves())
    for op in ("add", "sub", "mul"):
        yield elementwise(f"{op} is IEEE binary32 and keeps subnormals", op, "f32", "f32", x, y)
    yield elementwise("div is correctly rounded", "div", "f32", "f32", x, y)
    yield elementwise("sqrt is correctly rounded", "sqrt", "f32", "f32", any_bits())
    for op in ("max", "min"):
        yield elementwise(f"{op} is a comparison and a choice", op, "f32", "f32", x, y)
    for op in ("lt", "le", "eq", "ne"):
        yield elementwise(f"{op} compares as ordered, NaN apart", op, "f32", "bool", x, y)
    for op in ("neg", "abs", "floor", "rint"):
        yield elementwise(f"{op} is exact", op, "f32", "f32", any_bits())


def conversions() -> Iterator[Case]:
    words = spread(0x9E3779B1)
    yield elementwise("f32 to i32 goes toward zero and saturates", "cast", "f32", "i32", any_bits())
    yield elementwise("f32 to u32 goes toward zero and saturates", "cast", "f32", "u32", any_bits())
    yield elementwise("i32 to f32 rounds to nearest even", "cast", "i32", "f32", words.view(np.int32))
    yield elementwise("u32 to f32 rounds to nearest even", "cast", "u32", "f32", words)
    yield elementwise("the bits of a NaN are 0x7FC00000", "bitcast", "f32", "u32", special())
    yield stored()
    yield elementwise("mulhi is the high word", "mulhi", "u32", "u32", words, spread(0x85EBCA77))


def stored() -> Case:
    """Every payload copied from one place to another."""
    x = any_bits()
    sheet = Sheet((Axis(x.size, "outer"),))
    sheet.store(sheet.load(0, (1,)), 1, (1,))
    return sheet.case("a NaN is stored as 0x7FC00000", "fill", x, np.zeros_like(x))


def orders() -> Iterator[Case]:
    for how in ("sum", "max", "argmax"):
        yield reduced(f"row order of {how}", "rows", how, ROW)
        yield reduced(f"column order of {how}", "columns", how, LONG)
    yield contraction()
    yield scatter()


def reduced(clause: str, kind: str, how: str, size: int) -> Case:
    """ROWS rows (or columns) of `size`, folded; where the place of the largest is asked for, several are equal."""
    outer, inner = ("outer", "row") if kind == "rows" else ("kept", "reduced")
    dtype = "i32" if how == "argmax" else "f32"
    sheet = Sheet((Axis(ROWS, outer), Axis(size, inner)))
    x = sheet.op("mul", sheet.load(0, (size, 1)), sheet.load(1, (size, 1)))
    sheet.store(sheet.op("reduce", x, dtype=dtype, how=how), 2, (1, 0))
    result = np.zeros(ROWS, np.int32 if how == "argmax" else np.float32)
    other = noisy(ROWS * size, 2)
    if how == "argmax":
        return sheet.case(clause, kind, np.floor(noisy(ROWS * size)), np.ones_like(other), result)
    return sheet.case(clause, kind, noisy(ROWS * size), other, result)


def contraction() -> Case:
    m, n, k = 13, 37, LONG
    sheet = Sheet((Axis(m, "m"), Axis(n, "n"), Axis(k, "k")))
    product = sheet.op("product", a=View(0, 0, (k, 0, 1)), b=View(1, 0, (0, 1, n)))
    sheet.store(product, 2, (n, 1, 0))
    return sheet.case("contraction order", "contract", noisy(m * k), noisy(k * n, 2), np.zeros(m * n, np.float32))


def scatter() -> Case:
    """Contributions of 500 places to 7 rows."""
    places, width, rows = 500, 5, 7
    sheet = Sheet((Axis(width, "rest"), Axis(places, "place")))
    x, row = sheet.load(0, (1, width)), sheet.load(1, (0, 1), "i32")
    view = View(2, 0, (1, 0))
    sheet.op("accumulate", x, row, view=view, pick=width, bound=rows, flag=-1)
    index = (np.arange(places) * 5 % rows).astype(np.int32)
    arrays = (noisy(places * width), index, np.zeros(rows * width, np.float32))
    return sheet.case("scattered sums in ascending place", "scatter", *arrays)


def library() -> Iterator[Case]:
    """Every library function over special values, a sample of all floats and of moderate ones."""
    words = [spread(multiplier) for multiplier in (1, 3, 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F)]
    integers = {"u32": words, "i32": [word.view(np.int32) for word in words[2:4]]}
    for name in LIBRARY:
        kind, arity = operand_type(name), OPS[name].arity
        floats = pairs() if arity == 2 else (np.concatenate([any_bits(), moderate(7)]),)
        operands = floats if kind == "f32" else integers[kind]
        result = {"random_bits": "u32", "mod": "i32"}.get(name, "f32")
        yield elementwise(f"library: {name}", name, kind, result, *operands)
