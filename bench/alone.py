"""Kernels alone, at the sizes of GPT-2: each a job without a text, whose step does that one thing.

Takes: a name of `names()`. Promises: `alone` gives a job whose state holds operands (standard normal, or whole numbers
below a limit) and results; a step reads the operands and writes every result anew. Contractions are named by their
shape and how the operands lie: `nn 256x768x3072` is [256, 768] @ [768, 3072], `nt` has the second one's rows along n,
`tn` the first one's along k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.machine import Traffic
from jobspec.ir.build import broadcast, full
from jobspec.ir.contract import PROFILE
from jobspec.ir.job import Batches, Job, Phase, Slot, Stream
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import Type

Results = dict[str, Node]
Operands = Mapping[str, Node]

CUBES = (512, 1024, 2048, 4096)
#: m, k, n of GPT-2's layers at 256 tokens
GPT2 = ((256, 768, 768), (256, 768, 2304), (256, 768, 3072), (256, 3072, 768), (256, 768, 50304))
LAYOUTS = ("nn", "nt", "tn")
TOKENS, WIDTH, WORDS, HEADS, CONTEXT = 1024, 768, 50304, 12, 1024
#: numbers of one GPT-2's layer: what AdamW updates alone
WEIGHTS = 12 * WIDTH * WIDTH


@dataclass(frozen=True)
class Alone:
    """`operands`: name → type; `updated`: operands that a step changes; `results` makes the outputs."""

    operands: Mapping[str, Type]
    results: Callable[[Operands], Results]
    updated: Sequence[str] = ()
    #: whole numbers lie below it
    below: int = WORDS


def names() -> list[str]:
    return [*contractions(), *KERNELS]


def contractions() -> list[str]:
    shapes = [(n, n, n) for n in CUBES] + list(GPT2)
    return [f"{layout} {m}x{k}x{n}" for m, k, n in shapes for layout in LAYOUTS]


def alone(name: str) -> Alone:
    return KERNELS[name] if name in KERNELS else contraction(name)


def contraction(name: str) -> Alone:
    layout, sizes = name.split()
    m, k, n = map(int, sizes.split("x"))
    a = f32(k, m) if layout[0] == "t" else f32(m, k)
    b = f32(n, k) if layout[1] == "t" else f32(k, n)
    over = {"a_over": (int(layout[0] == "n"),), "b_over": (int(layout[1] == "t"),), "a_batch": (), "b_batch": ()}
    return Alone({"a": a, "b": b}, lambda o: {"c": make("contract", o["a"], o["b"], **over)})


def f32(*shape: int) -> Type:
    return Type("f32", shape)


# ---- the kernels ----


def along(x: Node, row: Node) -> Node:
    """`row` [rows] repeated over the last axis of `x`."""
    return broadcast(row, x.shape, tuple(range(len(x.shape) - 1)))


def down(x: Node, column: Node) -> Node:
    """`column` [columns] repeated over all axes of `x` but the last."""
    return broadcast(column, x.shape, (len(x.shape) - 1,))


def total(x: Node) -> Node:
    return make("sum", x, axes=(len(x.shape) - 1,))


def mean(x: Node) -> Node:
    summed = total(x)
    return make("mul", summed, full(summed.type, 1 / x.shape[-1]))


def plus(x: Node, value: float) -> Node:
    return make("add", x, full(x.type, value))


def times(x: Node, value: float) -> Node:
    return make("mul", x, full(x.type, value))


def softmax_of(x: Node) -> Node:
    largest = make("reduce_max", x, axes=(len(x.shape) - 1,))
    e = make("exp", make("sub", x, along(x, largest)))
    whole = total(e)
    return make("mul", e, along(x, make("div", full(whole.type, 1.0), whole)))


def normed(x: Node) -> tuple[Node, Node]:
    """(x - mean) / deviation, and 1 / deviation."""
    away = make("sub", x, along(x, mean(x)))
    inverse = make("rsqrt", plus(mean(make("mul", away, away)), 1e-5))
    return make("mul", away, along(x, inverse)), inverse


def softmax(o: Operands) -> Results:
    return {"y": softmax_of(o["x"])}


def layer_norm(o: Operands) -> Results:
    y, _ = normed(o["x"])
    return {"y": make("add", make("mul", y, down(y, o["g"])), down(y, o["b"]))}


def layer_norm_back(o: Operands) -> Results:
    """Of x; those of g and b are sums over tokens."""
    y, inverse = normed(o["x"])
    dy = make("mul", o["dy"], down(y, o["g"]))
    inner = make("sub", make("sub", dy, along(y, mean(dy))), make("mul", y, along(y, mean(make("mul", dy, y)))))
    dg, db = (make("sum", v, axes=(0,)) for v in (make("mul", o["dy"], y), o["dy"]))
    return {"dx": make("mul", inner, along(y, inverse)), "dg": dg, "db": db}


def gelu(o: Operands) -> Results:
    x = o["x"]
    return {"y": make("mul", times(x, 0.5), plus(make("erf", times(x, 0.5**0.5)), 1.0))}


def gelu_back(o: Operands) -> Results:
    x = o["x"]
    chance = times(plus(make("erf", times(x, 0.5**0.5)), 1.0), 0.5)
    density = times(make("exp", times(make("mul", x, x), -0.5)), 0.3989422804014327)
    return {"dx": make("mul", o["dy"], make("add", chance, make("mul", x, density)))}


def cross_entropy(o: Operands) -> Results:
    """The losses of all tokens, and the gradient of their mean."""
    z, label = o["z"], o["label"]
    largest = make("reduce_max", z, axes=(1,))
    e = make("exp", make("sub", z, along(z, largest)))
    whole = total(e)
    places = broadcast(make("iota", size=z.shape[1]), z.shape, (1,))
    hit = make("eq", places, along(z, label))
    score = make("gather", z, label, batch=1)
    loss = make("sub", make("add", make("log", whole), largest), score)
    share = make("mul", e, along(z, make("div", full(whole.type, 1.0), whole)))
    ones = make("select", hit, full(z.type, 1.0), full(z.type, 0.0))
    return {"loss": loss, "dz": times(make("sub", share, ones), 1 / z.shape[0])}


def adamw(o: Operands) -> Results:
    p, g, m, v = o["p"], o["g"], o["m"], o["v"]
    m = make("add", times(m, 0.9), times(g, 0.1))
    v = make("add", times(v, 0.95), times(make("mul", g, g), 0.05))
    step = make("div", times(m, 1e-3), plus(make("sqrt", v), 1e-8))
    return {"p": make("sub", times(p, 1 - 1e-4), step), "m": m, "v": v}


TOKENS_WIDE = f32(TOKENS, WIDTH)
KERNELS: Mapping[str, Alone] = {
    "softmax": Alone({"x": f32(HEADS * CONTEXT, CONTEXT)}, softmax),
    "layer_norm": Alone({"x": TOKENS_WIDE, "g": f32(WIDTH), "b": f32(WIDTH)}, layer_norm),
    "layer_norm_back": Alone({"x": TOKENS_WIDE, "dy": TOKENS_WIDE, "g": f32(WIDTH)}, layer_norm_back),
    "gelu": Alone({"x": f32(TOKENS, 4 * WIDTH)}, gelu),
    "gelu_back": Alone({"x": f32(TOKENS, 4 * WIDTH), "dy": f32(TOKENS, 4 * WIDTH)}, gelu_back),
    "cross_entropy": Alone({"z": f32(TOKENS // 4, WORDS), "label": Type("i32", (TOKENS // 4,))}, cross_entropy),
    "adamw": Alone(dict.fromkeys("pgmv", f32(WEIGHTS)), adamw, ("p", "m", "v")),
}


def multiply_adds(name: str) -> int:
    """Of a contraction."""
    return prod(map(int, name.split()[1].split("x")))


def traffic(name: str) -> Traffic:
    """What a step must touch at least: operands read, results written, updated ones both. Scales, labels and the like
    are left out; the others are of one size."""
    kernel, sizes = alone(name), {slot.name: slot.type.nbytes for slot in job_of(name).state}
    size = max(sizes.values())
    large = [n for n, own in sizes.items() if own > size // 100]
    assert all(sizes[n] == size for n in large), sizes
    read = sum(n in kernel.operands and n not in kernel.updated for n in large)
    return Traffic(read, len(large) - read - len(kernel.updated), len(kernel.updated), size)


def values(name: str) -> dict[str, NDArray[Any]]:
    """Operands: standard normal, whole numbers below the limit; `v` is not negative."""
    random, kernel = np.random.default_rng(5), alone(name)
    return {n: drawn(random, n, t, kernel.below) for n, t in kernel.operands.items()}


def drawn(random: np.random.Generator, name: str, kind: Type, below: int) -> NDArray[Any]:
    if kind.dtype == "i32":
        return random.integers(0, below, kind.shape).astype(np.int32)
    found = random.standard_normal(kind.shape, np.float32)
    return np.abs(found) if name == "v" else found


# ---- as jobs ----


def read(name: str, kind: Type) -> Node:
    return make("input", name=name, dtype=kind.dtype, shape=kind.shape)


def job_of(name: str) -> Job:
    """The job of one kernel. Results start as zeros; operands are written by whoever runs it."""
    kernel = alone(name)
    operands = {n: read(n, t) for n, t in kernel.operands.items()}
    results = kernel.results(operands)
    state = {n: node.type for n, node in {**operands, **results}.items()}
    slots = tuple(Slot(n, "parameter", t, ("",) * len(t.shape)) for n, t in state.items())
    inputs = tuple(operands.get(n) or read(n, t) for n, t in state.items())
    clock = read("step", Type("i32"))
    new = tuple((n, results.get(n) or operands[n]) for n in state)
    step = Program((*inputs, clock), (*new, ("report.loss", full(Type("f32"), 0.0))))
    init = Program((), tuple((n, full(t, 0.0)) for n, t in state.items()))
    phase = Phase("", 1 << 20, step, Batches(Stream((), "sequence", 0, bytes(32)), 1, ()))
    return Job(name, "", PROFILE, 0, (), slots, init, (phase,), (), 0, 0, 1)
