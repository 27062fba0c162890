"""The tensor program in float64, without any order of accumulation: for finite differences.

Takes: a program before `differentiate` (without `gradient`), inputs by name. Promises: what the program means in real
numbers, to about 1e-15; it shares movement with the reference and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jobspec.backends.reference import meaning
from jobspec.ir.program import Node, Program

Array = np.ndarray
_erf = np.vectorize(math.erf, otypes=[np.float64])


def wide(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def contract(node: Node, a: Array, b: Array) -> Array:
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in a.shape]
    pairs = dict(zip((*node["b_over"], *node["b_batch"]), (*node["a_over"], *node["a_batch"]), strict=True))
    right = [left[pairs[j]] if j in pairs else next(letters) for j in range(b.ndim)]
    kept = [c for i, c in enumerate(left) if i not in node["a_over"]]
    out = kept + [c for c in right if c not in left]
    return np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


def pad(node: Node, x: Array) -> Array:
    out = np.full(node.shape, wide(meaning.from_bits(node.dtype, (node["bits"],)))[0])
    rows = zip(node["low"], x.shape, node["inner"], strict=True)
    out[tuple(slice(low, low + (n - 1) * (gap + 1) + 1, gap + 1) for low, n, gap in rows)] = x
    return out


def scatter_add(node: Node, x: Array, index: Array) -> Array:
    out, batch = np.zeros(node.shape), node["batch"]
    for place in np.ndindex(index.shape):
        out[(*place[:batch], index[place])] += x[place]
    return out


def cast(node: Node, x: Array) -> Array:
    return x.astype(np.float64 if node["dtype"] == "f32" else meaning.NUMPY[node["dtype"]])


def loop(node: Node, *operands: Array) -> tuple[Array, ...]:
    count, carried, cuts = node["count"], node["carried"], node["carried"] + node["sliced"]
    state, stacks = list(operands[:carried]), {}
    for turn in reversed(range(count)) if node["reverse"] else range(count):
        given = [np.int32(turn), *state, *(x[turn] for x in operands[carried:cuts]), *operands[cuts:]]
        results = run(node["body"], given)
        state, stacks[turn] = results[:carried], results[carried:]
    return (*state, *(np.stack(column) for column in zip(*(stacks[t] for t in range(count)), strict=True)))


def flattened(x: Array, axes: tuple[int, ...]) -> Array:
    """The reduced axes as one last axis."""
    kept = [i for i in range(x.ndim) if i not in axes]
    return x.transpose(*kept, *axes).reshape(*(x.shape[i] for i in kept), -1)


def rows(x: Array, index: Array) -> Array:
    """For each entry of the index, its row of x."""
    flat = x.reshape(-1, x.shape[-1])
    return flat.repeat(index.size // len(flat), 0)


def experts(node: Node, x: Array, w: Array, index: Array) -> Array:
    return np.einsum("nk,nkf->nf", rows(x, index), w[index.reshape(-1)]).reshape(node.shape)


def expert_sums(node: Node, x: Array, g: Array, index: Array) -> Array:
    hit = index.reshape(-1, 1) == np.arange(node["size"])
    return np.einsum("ne,nk,nf->ekf", hit, rows(x, index), g.reshape(-1, g.shape[-1]))


def narrowly(node: Node, x: Array) -> Array:
    """What is said of float32's bits, of the nearest float32."""
    return wide(meaning.MEANING[node.op](node, x.astype(np.float32) if x.dtype == np.float64 else x))


OPS: dict[str, Any] = {
    **meaning.MEANING,
    "const": lambda n: wide(meaning.constant(n)),
    "add": lambda n, a, b: a + b,
    "sub": lambda n, a, b: a - b,
    "mul": lambda n, a, b: a * b,
    "div": lambda n, a, b: a / b,
    "fma": lambda n, a, b, c: a * b + c,
    "neg": lambda n, a: -a,
    "abs": lambda n, a: np.abs(a),
    "sqrt": lambda n, a: np.sqrt(a),
    "max": lambda n, a, b: np.where(a > b, a, b),
    "min": lambda n, a, b: np.where(a < b, a, b),
    "floor": lambda n, a: np.floor(a),
    "rint": lambda n, a: np.rint(a),
    "rsqrt": lambda n, a: 1 / np.sqrt(a),
    "exp": lambda n, a: np.exp(a),
    "log": lambda n, a: np.log(a),
    "tanh": lambda n, a: np.tanh(a),
    "erf": lambda n, a: _erf(a),
    "sin": lambda n, a: np.sin(a),
    "cos": lambda n, a: np.cos(a),
    "pow": lambda n, a, b: np.power(a, b),
    "sum": lambda n, x: x.sum(n["axes"]),
    "reduce_max": lambda n, x: x.max(n["axes"]),
    "argmax": lambda n, x: flattened(x, n["axes"]).argmax(-1).astype(np.int32),
    "contract": contract,
    "experts": experts,
    "expert_sums": expert_sums,
    "pad": pad,
    "scatter_add": scatter_add,
    "cast": cast,
    "bitcast": narrowly,
    "bf16": narrowly,
    "f16": narrowly,
    "loop": loop,
}


def run(program: Program, given: list[Any]) -> list[Array]:
    values: dict[Node, Any] = dict(zip(program.inputs, given, strict=True))
    for node in program.nodes():
        if node not in values:
            values[node] = OPS[node.op](node, *(values[a] for a in node.args))
    return [values[node] for node in program.results]


def evaluate(program: Program, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name; float32 inputs are widened."""
    with np.errstate(all="ignore"):  # a value that is then not chosen may be anything
        results = run(program, [wide(np.asarray(inputs[node["name"]])) for node in program.inputs])
    return {name: np.asarray(x) for (name, _), x in zip(program.outputs, results, strict=True)}


def slope(program: Program, inputs: Mapping[str, Array], name: str, step: float = 1e-5) -> Array:
    """Central differences of the output `loss` by every element of the input `name`."""
    base = {key: wide(np.asarray(x)) for key, x in inputs.items()}
    result = np.zeros(base[name].shape)
    for place in np.ndindex(result.shape):
        ends = []
        for sign in (1, -1):
            moved = base[name].copy()
            moved[place] += sign * step
            ends.append(float(evaluate(program, {**base, name: moved})["loss"]))
        result[place] = (ends[0] - ends[1]) / (2 * step)
    return result
