"""Evaluation of a tensor program in numpy: what the program means.

Takes: a program and an array per input, by name. Promises: the outputs by name, exact to the bit; a NaN
leaves with the contract's one bit pattern. Slow and obvious on purpose: other backends are tested against it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jobspec.backends.reference.meaning import run
from jobspec.backends.reference.numbers import NUMPY, Array, canonical
from jobspec.ir.program import Node, Program


def evaluate(program: Program, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of `program` by name; names in `inputs` that it does not have are ignored.

    Raises ValueError for a missing or mistyped input, JobspecError E0501 for an index outside its axis.
    """
    given = [fitting(node, inputs) for node in program.inputs]
    with np.errstate(all="ignore"):
        results = run(program, given)
    names = (name for name, _ in program.outputs)
    return {name: np.array(canonical(x), order="C") for name, x in zip(names, results, strict=True)}


def fitting(node: Node, inputs: Mapping[str, Array]) -> Array:
    """The array for one input."""
    name = node["name"]
    if name not in inputs:
        raise ValueError(f"no value for input `{name}`: {node.type}")
    array = np.asarray(inputs[name])
    if array.shape != node.shape or array.dtype != NUMPY[node.dtype]:
        raise ValueError(f"input `{name}` is {array.dtype}{list(array.shape)}, not {node.type}")
    return array
