"""Elementwise operations: one element out of one element of each operand.

Takes: arrays of equal shape. Promises: float32 primitives are NumpyScalars' own, library operations
their decompositions over it, so every evaluator of the library's protocol has one meaning to follow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jobspec.backends.reference.numbers import NUMPY, Array, canonical
from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY
from jobspec.ir.program import Node

Elementwise = Callable[..., Array]
SCALARS = NumpyScalars()


def typed(floating: Elementwise, integer: Elementwise) -> Elementwise:
    """The operation that takes its form from the type of its first operand."""

    def applied(*operands: Array) -> Array:
        return (floating if operands[0].dtype == np.float32 else integer)(*operands)

    return applied


def negative(x: Array) -> Array:
    """-x of an integer, modulo 2^32."""
    return SCALARS.isub(np.zeros_like(x), x)


def high_product(a: Array, b: Array) -> Array:
    """The high 32 bits of the 64-bit product, of i32 or u32."""
    wide = np.int64 if a.dtype == np.int32 else np.uint64
    return ((a.astype(wide) * b.astype(wide)) >> wide(32)).astype(a.dtype)


def saturated(x: Array, dtype: str) -> Array:
    """f32 to i32 or u32: toward zero, saturating, NaN to 0."""
    limits = np.iinfo(NUMPY[dtype])
    whole = np.trunc(np.where(np.isnan(x), 0.0, x).astype(np.float64))
    return np.clip(whole, limits.min, limits.max).astype(NUMPY[dtype])


def cast(node: Node, x: Array) -> Array:
    """By value; integers narrow modulo their width; f32 to an integer as `saturated`."""
    if x.dtype == np.float32 and node["dtype"] != "f32":
        return saturated(x, node["dtype"])
    return x.astype(NUMPY[node["dtype"]])


def bitcast(node: Node, x: Array) -> Array:
    """The same 32 bits, those of a NaN made canonical."""
    return canonical(x).view(NUMPY[node["dtype"]])


PRIMITIVES: dict[str, Elementwise] = {
    "add": typed(SCALARS.add, SCALARS.iadd),
    "sub": typed(SCALARS.sub, SCALARS.isub),
    "mul": typed(SCALARS.mul, SCALARS.imul),
    "div": SCALARS.div,
    "fma": SCALARS.fma,
    "neg": typed(SCALARS.neg, negative),
    "abs": SCALARS.abs,
    "sqrt": SCALARS.sqrt,
    "max": SCALARS.max,
    "min": SCALARS.min,
    "floor": SCALARS.floor,
    "rint": SCALARS.rint,
    "lt": SCALARS.lt,
    "le": SCALARS.le,
    "eq": SCALARS.eq,
    "ne": SCALARS.ne,
    "select": SCALARS.select,
    "and": SCALARS.and_,
    "or": SCALARS.or_,
    "xor": SCALARS.xor,
    "not": SCALARS.not_,
    "shl": SCALARS.shl,
    "shr": SCALARS.shr,
    "mulhi": high_product,
}


def library(name: str) -> Elementwise:
    """The decomposition of library operation `name`, evaluated."""
    decomposition = LIBRARY[name]
    return lambda *operands: decomposition(SCALARS, *operands)
