"""Kernels that training steps are made of, written by hand, with the arrays they work on.

Each function gives (kernel, arrays); the last arrays are results. Sizes are the caller's; `special` puts
zeros of both signs, subnormals, infinities and NaNs among the inputs.
"""

from __future__ import annotations

from math import prod

import numpy as np

from jobspec.ir.kernel import Kernel, View
from tests.llvm.native import Array, Body, axes, numbers

Case = tuple[Kernel, list[Array]]


def zeros(*shape: int) -> Array:
    return np.zeros(prod(shape), np.float32)


def softmax(rows: int, size: int, special: bool = False) -> Case:
    """Exponentials in place, their sum and the position of the largest."""
    b = axes(outer=[rows], row=[size])
    x = b.load(0, size, 1)
    e = b.inst("exp", b.inst("sub", x, b.inst("reduce", x, how="max")))
    total = b.inst("reduce", e, how="sum")
    b.store(b.inst("div", e, total), 0, size, 1, flag=0)
    b.store(total, 1, 1, 0, flag=1)
    b.store(b.inst("reduce", x, how="argmax", dtype="i32"), 2, 1, 0)
    return b.kernel("rows"), [numbers(rows * size, size, special), zeros(rows), np.zeros(rows, np.int32)]


def layer_norm(rows: int, size: int, special: bool = False) -> Case:
    """Three passes; scale and offset along the row; the reciprocal deviation is stored too."""
    b = axes(outer=[rows], row=[size])
    x, share = b.load(0, size, 1), b.const(1 / size)
    centred = b.inst("sub", x, b.inst("mul", b.inst("reduce", x, how="sum"), share))
    variance = b.inst("mul", b.inst("reduce", b.inst("mul", centred, centred), how="sum"), share)
    scale = b.inst("rsqrt", b.inst("add", variance, b.const(1e-5)))
    b.store(b.inst("fma", b.inst("mul", centred, scale), b.load(1, 0, 1), b.load(2, 0, 1)), 3, size, 1)
    b.store(scale, 4, 1, 0)
    arrays = [numbers(rows * size, size, special), numbers(size, 1), numbers(size, 2), zeros(rows, size), zeros(rows)]
    return b.kernel("rows"), arrays


def cross_entropy(rows: int, size: int, special: bool = False) -> Case:
    """log sum exp minus the picked logit; labels are bytes, one of them out of bounds."""
    b = axes(outer=[rows], row=[size])
    x = b.load(0, size, 1)
    largest = b.inst("reduce", x, how="max")
    total = b.inst("reduce", b.inst("exp", b.inst("sub", x, largest)), how="sum")
    label = b.load(1, 1, 0, dtype="i32")
    picked = b.inst("load", label, view=View(0, 0, (size, 0)), pick=1, bound=size, flag=3)
    b.store(b.inst("sub", b.inst("add", largest, b.inst("log", total)), picked), 2, 1, 0, flag=0)
    hit = b.inst("eq", b.inst("index", dtype="i32", axis=1), label, dtype="bool")
    b.store(hit, 3, size, 1)
    labels = (np.arange(rows) * 7 % (size + 1)).astype(np.uint8)
    return b.kernel("rows"), [numbers(rows * size, size, special), labels, zeros(rows), np.zeros(rows * size, np.bool_)]


def norm(size: int, special: bool = False) -> Case:
    """One long row: the root of a sum of squares, and the row divided by it in place."""
    b = axes(outer=[1], row=[size])
    x = b.load(0, 0, 1)
    root = b.inst("sqrt", b.inst("reduce", b.inst("mul", x, x), how="sum"))
    b.store(b.inst("div", x, root), 0, 0, 1, flag=1)
    b.store(root, 1, 0, 0)
    return b.kernel("rows"), [numbers(size, size, special), zeros(1)]


def adamw(size: int, special: bool = False) -> Case:
    """An update in place of three tensors, with a rate computed from the step number once."""
    b = axes(row=[size])
    p, m, v, g = (b.load(i, 1) for i in range(4))
    step = b.inst("cast", b.load(4, 0, dtype="i32"))
    rate = b.inst("div", b.const(0.001), b.inst("sub", b.const(1.0), b.inst("pow", b.const(0.9), step)))
    mean = b.inst("fma", b.inst("sub", g, m), b.const(0.1), m)
    square = b.inst("fma", b.inst("sub", b.inst("mul", g, g), v), b.const(0.01), v)
    down = b.inst("div", mean, b.inst("add", b.inst("sqrt", square), b.const(1e-8)))
    b.store(b.inst("sub", b.inst("mul", p, b.const(0.999)), b.inst("mul", rate, down)), 0, 1, flag=0)
    b.store(mean, 1, 1, flag=1)
    b.store(square, 2, 1, flag=2)
    arrays = [numbers(size, 0, special), numbers(size, 1), np.abs(numbers(size, 2)), numbers(size, 3, special)]
    return b.kernel("rows"), [*arrays, np.array([7], np.int32)]


def column_sums(kept: list[int], reduced: list[int], special: bool = False) -> Case:
    """The sum, the largest and its position down every column; columns lie innermost."""
    b = axes(kept=kept, reduced=reduced)
    at, none = strides(kept), [0] * len(reduced)
    x = b.load(0, *at, *(s * prod(kept) for s in strides(reduced)))
    b.store(b.inst("reduce", x, how="sum"), 1, *at, *none, flag=0)
    b.store(b.inst("reduce", x, how="max"), 2, *at, *none)
    b.store(b.inst("reduce", x, how="argmax", dtype="i32"), 3, *at, *none)
    columns = prod(kept)
    places = np.zeros(columns, np.int32)
    return b.kernel("columns"), [numbers(columns * prod(reduced), 1, special), zeros(columns), zeros(columns), places]


def variance(columns: int, size: int, special: bool = False) -> Case:
    """Batch statistics in two passes, and the centred columns."""
    b = axes(kept=[columns], reduced=[size])
    x, share = b.load(0, 1, columns), b.const(1 / size)
    mean = b.inst("mul", b.inst("reduce", x, how="sum"), share)
    centred = b.inst("sub", x, mean)
    square = b.inst("reduce", b.inst("mul", centred, centred), how="sum")
    b.store(mean, 1, 1, 0)
    b.store(b.inst("mul", square, share), 2, 1, 0)
    b.store(b.inst("mul", centred, b.load(3, 1, 0)), 4, 1, columns)
    arrays = [numbers(columns * size, 1, special), zeros(columns), zeros(columns), numbers(columns, 2)]
    return b.kernel("columns"), [*arrays, zeros(columns, size)]


def embedding_gradient(places: list[int], rest: list[int], bound: int, outside: bool) -> Case:
    """Rows added where indices say; `outside`: some indices are out of bounds."""
    b = axes(rest=rest, place=places)
    width, count = prod(rest), prod(places)
    x = b.load(0, *strides(rest), *(s * width for s in strides(places)))
    scaled = b.inst("mul", x, b.const(0.5))
    index = b.load(1, *[0] * len(rest), *strides(places), dtype="i32")
    view = View(2, 0, (*strides(rest), *[0] * len(places)))
    b.inst("accumulate", scaled, index, view=view, pick=width, bound=bound, flag=2)
    picks = np.random.default_rng(3).integers(-1 if outside else 0, bound + outside, count).astype(np.int32)
    return b.kernel("scatter"), [numbers(count * width, 1), picks, zeros(bound, width)]


def strides(sizes: list[int]) -> list[int]:
    return [prod(sizes[i + 1 :]) for i in range(len(sizes))]


def elementwise(op: str, kinds: list[str], dtype: str, size: int, many: bool) -> Body:
    """One operation on arrays of element types `kinds`; `many`: along vectors, else one lane at a time."""
    b = axes(outer=[1 if many else size], row=[size if many else 1])
    at = (0, 1) if many else (1, 0)
    x = b.inst(op, *(b.load(i, *at, dtype=kind) for i, kind in enumerate(kinds)), dtype=dtype)
    b.store(x, len(kinds), *at, flag=0)
    return b
