"""The op table's meaning column, and the run of a program that it gives.

Takes: a node and the values of its operands. Promises: one function per op, each obvious and exact to
the bit; `run` applies them in program order, and a loop is `run` on its body once per turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jobspec.backends.reference import elementwise, experts, indexing, movement, reductions
from jobspec.backends.reference.contraction import contract
from jobspec.backends.reference.numbers import NUMPY, Array, from_bits
from jobspec.ir.ops import OPS
from jobspec.ir.program import Node, Program
from jobspec.ir.types import Type

#: an array, or the many results of a loop
Value = Any
Meaning = Callable[..., Value]


def constant(node: Node) -> Array:
    patterns = from_bits(node["dtype"], node["bits"])
    return np.full(node.shape, patterns[0]) if len(patterns) == 1 else patterns.reshape(node.shape)


def pad(node: Node, x: Array) -> Array:
    return movement.pad(x, node["low"], node["high"], node["inner"], node.dtype, node["bits"])


def window(node: Node, x: Array) -> Array:
    return movement.window(x, node["axes"], node["sizes"], node["strides"])


def contraction(node: Node, a: Array, b: Array) -> Array:
    return contract(a, b, node["a_over"], node["b_over"], node["a_batch"], node["b_batch"])


def loop(node: Node, *operands: Array) -> tuple[Array, ...]:
    """Turns in order 0 … count-1, or count-1 … 0 with `reverse`; a stacked value is stored at index turn."""
    count, carried, cuts = node["count"], node["carried"], node["carried"] + node["sliced"]
    state, sliced, shared = list(operands[:carried]), operands[carried:cuts], operands[cuts:]
    stacked = [np.empty(kind.shape, NUMPY[kind.dtype]) for kind in results_of(node)[carried:]]
    for turn in reversed(range(count)) if node["reverse"] else range(count):
        given = [np.array(turn, np.int32), *state, *(x[turn] for x in sliced), *shared]
        results = run(node["body"], given)
        state = results[:carried]
        for stack, value in zip(stacked, results[carried:], strict=True):
            stack[turn] = value
    return (*state, *stacked)


def results_of(node: Node) -> tuple[Type, ...]:
    assert isinstance(node.result, tuple)
    return node.result


def plain(function: Meaning) -> Meaning:
    """A meaning that needs nothing of the node."""
    return lambda _, *operands: function(*operands)


MEANING: dict[str, Meaning] = {
    "const": constant,
    "iota": lambda node: np.arange(node["size"], dtype=np.int32),
    **{name: plain(function) for name, function in elementwise.PRIMITIVES.items()},
    **{name: plain(elementwise.library(name)) for name, op in OPS.items() if op.has("library")},
    "cast": elementwise.cast,
    "bitcast": elementwise.bitcast,
    "reshape": lambda node, x: x.reshape(node["shape"]),
    "permute": lambda node, x: x.transpose(node["axes"]),
    "broadcast": lambda node, x: movement.broadcast(x, node["shape"], node["axes"]),
    "slice": lambda node, x: movement.slice_(x, node["start"], node["stop"], node["step"]),
    "flip": lambda node, x: np.flip(x, node["axes"]),
    "window": window,
    "pad": pad,
    "concat": lambda node, *parts: np.concatenate(parts, node["axis"]),
    "gather": indexing.gather,
    "scatter_add": indexing.scatter_add,
    "contract": contraction,
    "experts": experts.experts,
    "expert_sums": experts.expert_sums,
    "route": experts.route,
    "block_products": experts.block_products,
    "segment_sums": experts.segment_sums,
    "sum": lambda node, x: reductions.total(x, node["axes"]),
    "reduce_max": lambda node, x: reductions.largest(x, node["axes"]),
    "argmax": lambda node, x: reductions.argmax(x, node["axes"]),
    "loop": loop,
    "get": lambda node, results: results[node["index"]],
    "stop": lambda _, x: x,
}


def run(program: Program, given: Sequence[Array]) -> list[Array]:
    """The values of the outputs, in order; `given` has one array per input, in order."""
    values: dict[Node, Value] = dict(zip(program.inputs, given, strict=True))
    for node in program.nodes():
        if node not in values:
            values[node] = shaped(node, MEANING[node.op](node, *(values[a] for a in node.args)))
    return [values[node] for node in program.results]


def shaped(node: Node, value: Value) -> Value:
    """`value` as an array of exactly the node's type; a loop's results are a tuple and pass."""
    if isinstance(value, tuple):
        return value
    array = np.asarray(value)
    assert array.shape == node.shape and array.dtype == NUMPY[node.dtype], f"{node}: {array.dtype}{array.shape}"
    return array
