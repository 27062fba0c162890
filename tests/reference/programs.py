"""One-op programs and their evaluation, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.numbers import NUMPY
from jobspec.ir.program import Node, Program, make

Array = NDArray[Any]
_NAMES = {dtype: name for name, dtype in NUMPY.items()}


def placeholder(name: str, x: Array) -> Node:
    """An input of the type of `x`."""
    return make("input", name=name, dtype=_NAMES[x.dtype], shape=x.shape)


def apply(op: str, *operands: Any, **attrs: Any) -> Array:
    """`op` on arrays, by way of a program of one operation."""
    arrays = [np.asarray(x) for x in operands]
    inputs = [placeholder(f"x{i}", x) for i, x in enumerate(arrays)]
    program = Program(tuple(inputs), (("y", make(op, *inputs, **attrs)),))
    return evaluate(program, {f"x{i}": x for i, x in enumerate(arrays)})["y"]


def bits(x: Any) -> list[int]:
    """The bit patterns of a float32 array, flattened."""
    patterns: list[int] = np.asarray(x, np.float32).reshape(-1).view(np.uint32).tolist()
    return patterns
