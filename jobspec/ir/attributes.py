"""The op table's attribute column: which attributes an op has, and what each one is.

Takes: nothing. Promises: every op has a row; text form and checker read an op's attributes by it alone.

    int     a whole number              ints    a tuple of them
    bits    a bit pattern               patterns  a tuple of them
    dtype   an element type             name    any text
    flag    true or false               body    a program
"""

from __future__ import annotations

from typing import Any

from jobspec.ir.ops import OPS
from jobspec.ir.program import Program
from jobspec.ir.types import DTYPES

_ROWS: dict[str, str] = {
    "input": "name=name dtype=dtype shape=ints",
    "const": "dtype=dtype shape=ints bits=patterns",
    "iota": "size=int",
    "cast": "dtype=dtype",
    "bitcast": "dtype=dtype",
    "reshape": "shape=ints",
    "permute": "axes=ints",
    "broadcast": "shape=ints axes=ints",
    "slice": "start=ints stop=ints step=ints",
    "flip": "axes=ints",
    "window": "axes=ints sizes=ints strides=ints",
    "pad": "low=ints high=ints inner=ints bits=bits",
    "concat": "axis=int",
    "gather": "batch=int",
    "contract": "a_over=ints b_over=ints a_batch=ints b_batch=ints",
    "sum": "axes=ints",
    "reduce_max": "axes=ints",
    "argmax": "axes=ints",
    "scatter_add": "batch=int size=int",
    "expert_sums": "size=int",
    "route": "size=int block=int",
    "block_products": "tokens=int",
    "segment_sums": "tokens=int",
    "loop": "count=int carried=int sliced=int reverse=flag body=body",
    "get": "index=int",
}

#: op → attribute → kind
ATTRIBUTES: dict[str, dict[str, str]] = {
    op: dict(entry.split("=") for entry in _ROWS.get(op, "").split()) for op in OPS
}  # fmt: skip


def is_a(kind: str, value: Any) -> bool:
    """Whether `value` is an attribute value of that kind."""
    if kind in ("int", "bits"):
        return type(value) is int
    if kind in ("ints", "patterns"):
        return type(value) is tuple and all(type(item) is int for item in value)
    if kind == "flag":
        return type(value) is bool
    if kind == "body":
        return isinstance(value, Program)
    return type(value) is str and (kind == "name" or value in DTYPES)
