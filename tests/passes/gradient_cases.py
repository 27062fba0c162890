"""Small programs whose gradients are checked: at least one per row of the op table's gradient column.

Takes: nothing. Promises: every case is a scalar loss of float inputs at a point where it is smooth (no ties, no values
at which a rounding or a comparison jumps).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from jobspec.ir.build import broadcast, full, reshape
from jobspec.ir.program import Node, Program, make
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type

F32, I32 = Type("f32"), Type("i32")
Build = Callable[..., Node]


@dataclass(frozen=True)
class Case:
    """`build` makes a tensor of the inputs, which have `shapes` and values in `span`."""

    name: str
    ops: str
    shapes: tuple[tuple[int, ...], ...]
    build: Build
    span: tuple[float, float] = (-1.5, 1.5)
    fixed: dict[str, Any] = field(default_factory=dict)

    def inputs(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(sum(map(ord, self.name)))
        return {f"x{i}": spread(rng, shape, *self.span) for i, shape in enumerate(self.shapes)}

    def loss(self) -> tuple[tuple[Node, ...], Node]:
        nodes = tuple(body_input(f"x{i}", Type("f32", shape)) for i, shape in enumerate(self.shapes))
        return nodes, weighted_sum(self.build(*nodes))

    def plain(self) -> Program:
        nodes, loss = self.loss()
        return Program(nodes, (("loss", loss),))

    def with_gradients(self) -> Program:
        nodes, loss = self.loss()
        return Program(nodes, (("loss", loss), *((f"x{i}", make("gradient", loss, x)) for i, x in enumerate(nodes))))


def spread(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Distinct values, evenly spread and shuffled, so that no two are near each other."""
    values = np.linspace(low, high, prod(shape) + 2)[1:-1] + (high - low) * 0.003
    return rng.permutation(values).astype(np.float32).reshape(shape)


def constant(values: np.ndarray) -> Node:
    flat = values.astype(np.float32).reshape(-1).view(np.uint32).tolist()
    return make("const", dtype="f32", shape=values.shape, bits=tuple(flat))


def integers(*values: int, dtype: str = "i32") -> Node:
    return make("const", dtype=dtype, shape=(len(values),), bits=values)


def weighted_sum(y: Node) -> Node:
    """Σ y * w with weights that differ, so that no two elements of a gradient can be exchanged unseen."""
    if y.shape == ():
        return y
    weights = np.cos(np.arange(prod(y.shape)) * 0.7 + 0.3).reshape(y.shape)
    return make("sum", make("mul", y, constant(weights)), axes=tuple(range(len(y.shape))))


def op(name: str, **attrs: Any) -> Build:
    return lambda *nodes: make(name, *nodes, **attrs)


def chosen(*shape: int) -> Node:
    """An index of three experts, the last of which gets few."""
    values = (np.arange(prod(shape)) * 7 % 5 % 3).reshape(shape)
    return make("const", dtype="i32", shape=shape, bits=tuple(values.reshape(-1).tolist()))


def picked(index: Node, batch: int) -> Build:
    return lambda x: make("gather", x, index, batch=batch)


def contracted(a: Node, b: Node, **axes: Any) -> Node:
    return make("contract", a, b, **{"a_batch": (), "b_batch": (), **axes})


def convolution(stride: int, x: Node, w: Node) -> Node:
    """x[B Y X C], w[Ky Kx C O]"""
    size = w.shape[:2]
    windows = make("window", x, axes=(1, 2), sizes=size, strides=(stride, stride))
    return contracted(windows, w, a_over=(3, 4, 5), b_over=(0, 1, 2))


def channels_first(x: Node, w: Node) -> Node:
    """x[B C Y X], w[O C Ky Kx]: the window's result is permuted and the filter is on the left."""
    windows = make("window", x, axes=(2, 3), sizes=w.shape[2:], strides=(1, 1))
    return contracted(w, windows, a_over=(2, 1, 3), b_over=(4, 1, 5))


def two_filters(x: Node, w: Node, v: Node) -> Node:
    """The cotangent of the one window node is a sum of two contractions."""
    return make("concat", convolution(1, x, w), convolution(1, x, v), axis=3)


def padded_convolution(x: Node, w: Node) -> Node:
    edges = (0, 1, 1, 0)
    return convolution(1, make("pad", x, low=edges, high=edges, inner=(0, 0, 0, 0), bits=0), w)


def depthwise(x: Node, w: Node) -> Node:
    """x[B T C], w[K C]: the channels run along."""
    windows = make("window", x, axes=(1,), sizes=w.shape[:1], strides=(1,))
    return contracted(windows, w, a_over=(2,), b_over=(0,), a_batch=(3,), b_batch=(1,))


def pooled(size: int, stride: int, x: Node) -> Node:
    windows = make("window", x, axes=(1, 2), sizes=(size, size), strides=(stride, stride))
    return make("reduce_max", windows, axes=(3, 4))


def softmax(x: Node) -> Node:
    """Over the last axis."""
    last, kept = len(x.shape) - 1, tuple(range(len(x.shape) - 1))
    e = make("exp", make("sub", x, broadcast(make("reduce_max", x, axes=(last,)), x.shape, kept)))
    return make("div", e, broadcast(make("sum", e, axes=(last,)), x.shape, kept))


def attention(q: Node, k: Node, v: Node) -> Node:
    """q[B T H K], k and v[B S H K]"""
    scores = contracted(q, k, a_over=(3,), b_over=(3,), a_batch=(0, 2), b_batch=(0, 2))
    return contracted(softmax(scores), v, a_over=(3,), b_over=(1,), a_batch=(0, 2), b_batch=(0, 2))


def cross_entropy(z: Node) -> Node:
    largest = make("reduce_max", z, axes=(1,))
    e = make("exp", make("sub", z, broadcast(largest, z.shape, (0,))))
    picked = make("gather", z, integers(2, 0, 4, 1), batch=1)
    return make("sub", make("add", make("log", make("sum", e, axes=(1,))), largest), picked)


def shared_uses(x: Node, y: Node) -> Node:
    """One node used many times, in different ways."""
    a = make("mul", x, y)
    b = make("add", make("mul", a, a), make("tanh", a))
    return make("sub", make("div", b, make("add", make("mul", x, x), full(x.type, 2.0))), a)


def rounded_away(x: Node) -> Node:
    """Through floor, rint, integers and conditions nothing flows; what is left does."""
    whole = make("add", make("floor", x), make("rint", x))
    index = make("cast", make("cast", x, dtype="i32"), dtype="f32")
    sign = make("cast", make("lt", x, full(x.type, 0)), dtype="f32")
    bits = make("bitcast", make("bitcast", x, dtype="u32"), dtype="f32")
    return make("mul", x, make("add", make("add", whole, index), make("add", sign, make("abs", bits))))


def loop_case(count: int, reverse: bool, x: Node, w: Node, b: Node) -> Node:
    """h ← h + tanh(h @ w[turn] + b), where each turn's h is stacked and read as well."""
    h, wt, bt = body_input("h", x.type), body_input("w", Type("f32", w.shape[1:])), body_input("b", b.type)
    inner = make("add", contracted(h, wt, a_over=(1,), b_over=(0,)), broadcast(bt, x.shape, (1,)))
    step = make("add", h, make("tanh", inner))
    loop = Loop(count, reverse, (x,), (w,), (b,), body_input("turn", I32), (h,), (wt,), (bt,), (("h", step),),
                (("before", make("mul", h, h)),)).node()  # fmt: skip
    whole = make("sum", get(loop, 1), axes=(0,))
    return make("add", get(loop, 0), make("mul", whole, whole))


def mixed_loop(x: Node, y: Node) -> Node:
    """Two carried values that cross, an integer that counts along, the turn, a carried value without effect."""
    a, b, n, idle = body_input("a", x.type), body_input("b", x.type), body_input("n", I32), body_input("idle", x.type)
    cut, turn = body_input("cut", Type("f32", y.shape[1:])), body_input("turn", I32)
    scale = broadcast(make("cast", make("add", turn, n), dtype="f32"), x.shape, ())
    after = make("add", n, make("const", dtype="i32", shape=(), bits=(3,)))
    mixed = make("add", make("sin", make("mul", b, cut)), make("mul", a, make("cos", scale)))
    loop = Loop(
        y.shape[0], False, (x, full(x.type, 0.5), make("const", dtype="i32", shape=(), bits=(1,)), x), (y,), (),
        turn, (a, b, n, idle), (cut,), (), (("a", mixed), ("b", a), ("n", after), ("idle", make("tanh", idle))), (),
    ).node()  # fmt: skip
    return make("add", get(loop, 0), get(loop, 1))


def nested_loop(x: Node, w: Node, s: Node) -> Node:
    """An outer loop whose body runs an inner one over slices, sharing `s` through both."""
    h, st = body_input("outer.h", x.type), body_input("outer.s", s.type)
    wt = body_input("outer.w", Type("f32", w.shape[1:]))
    g, cut, si = body_input("g", x.type), body_input("cut", Type("f32", w.shape[2:])), body_input("si", s.type)
    step = make("tanh", make("add", make("mul", g, cut), make("mul", si, make("exp", make("mul", g, si)))))
    inner = Loop(w.shape[1], True, (h,), (wt,), (st,), body_input("t2", I32), (g,), (cut,), (si,), (("g", step),),
                 (("seen", make("mul", g, g)),)).node()  # fmt: skip
    seen = make("sum", get(inner, 1), axes=(0,))
    after = make("add", make("mul", get(inner, 0), h), make("mul", seen, st))
    outer = Loop(w.shape[0], False, (x,), (w,), (s,), body_input("t1", I32), (h,), (wt,), (st,), (("h", after),),
                 (("trace", get(inner, 0)),)).node()  # fmt: skip
    return make("add", get(outer, 0), make("sum", get(outer, 1), axes=(0,)))


def through_stop(x: Node) -> Node:
    return make("mul", x, make("stop", make("exp", x)))


def between(x: Node) -> Node:
    return make("mul", x, make("sub", full(x.type, 1.0), x))


POSITIVE = (0.2, 2.0)
CASES: tuple[Case, ...] = (
    Case("add", "add", ((2, 3), (2, 3)), op("add")),
    Case("add itself", "add", ((3,),), lambda x: make("add", x, x)),
    Case("sub", "sub", ((2, 3), (2, 3)), op("sub")),
    Case("mul", "mul", ((2, 3), (2, 3)), op("mul")),
    Case("square", "mul", ((5,),), lambda x: make("mul", x, x)),
    Case("div", "div", ((2, 3), (2, 3)), op("div"), POSITIVE),
    Case("fma", "fma", ((4,), (4,), (4,)), op("fma")),
    Case("neg", "neg", ((4,),), op("neg")),
    Case("abs", "abs", ((6,),), op("abs")),
    Case("sqrt", "sqrt", ((5,),), op("sqrt"), POSITIVE),
    Case("rsqrt", "rsqrt", ((5,),), op("rsqrt"), POSITIVE),
    Case("max", "max", ((7,), (7,)), op("max")),
    Case("min", "min", ((7,), (7,)), op("min")),
    Case("select", "select", ((6,), (6,)), lambda x, y: make("select", make("lt", x, full(x.type, 0.1)), x, y)),
    Case("cast", "cast", ((3,),), op("cast", dtype="f32")),
    Case("exp", "exp", ((5,),), op("exp")),
    Case("log", "log", ((5,),), op("log"), POSITIVE),
    Case("tanh", "tanh", ((6,),), op("tanh")),
    Case("erf", "erf", ((6,),), op("erf")),
    Case("sin", "sin", ((6,),), op("sin"), (-4, 4)),
    Case("cos", "cos", ((6,),), op("cos"), (-4, 4)),
    Case("pow", "pow", ((6,), (6,)), op("pow"), POSITIVE),
    Case("pow constant", "pow", ((4,),), lambda x: make("pow", x, full(x.type, 2.5)), POSITIVE),
    Case("reshape", "reshape", ((2, 6),), op("reshape", shape=(3, 4))),
    Case("permute", "permute", ((2, 3, 4),), op("permute", axes=(2, 0, 1))),
    Case("broadcast", "broadcast", ((2, 3),), op("broadcast", shape=(4, 2, 5, 3), axes=(1, 3))),
    Case("broadcast scalar", "broadcast", ((),), op("broadcast", shape=(3, 2), axes=())),
    Case("broadcast unit", "broadcast", ((3,),), op("broadcast", shape=(1, 3, 1), axes=(1,))),
    Case("slice", "slice", ((5, 8),), op("slice", start=(1, 0), stop=(4, 8), step=(1, 3))),
    Case("flip", "flip", ((2, 3),), op("flip", axes=(0, 1))),
    Case("pad", "pad", ((2, 3),), op("pad", low=(1, 0), high=(0, 2), inner=(0, 2), bits=0x3F800000)),
    Case("concat", "concat", ((2, 3), (2, 1), (2, 2)), op("concat", axis=1)),
    Case("window overlapping", "window", ((2, 7),), op("window", axes=(1,), sizes=(3,), strides=(2,))),
    Case("window touching", "window", ((2, 6, 4),), op("window", axes=(1, 2), sizes=(3, 2), strides=(3, 2))),
    Case("window apart", "window", ((9, 2),), op("window", axes=(0,), sizes=(2,), strides=(3,))),
    Case("window apart, cut short", "window", ((8, 2),), op("window", axes=(0,), sizes=(2,), strides=(3,))),
    Case("pool", "window reduce_max", ((2, 4, 6, 2),), lambda x: pooled(2, 2, x)),
    Case("pool overlapping", "window reduce_max", ((1, 5, 5, 2),), lambda x: pooled(3, 2, x)),
    Case("convolution", "window contract", ((2, 5, 6, 3), (3, 2, 3, 4)), lambda x, w: convolution(1, x, w)),
    Case("convolution stride 2", "window contract", ((2, 7, 8, 2), (3, 3, 2, 3)), lambda x, w: convolution(2, x, w)),
    Case("convolution channels first", "window contract", ((2, 3, 5, 4), (4, 3, 2, 3)), channels_first),
    Case("two convolutions of one input", "window contract", ((1, 4, 5, 2), (3, 2, 2, 3), (3, 2, 2, 4)), two_filters),
    Case("padded convolution", "window contract pad", ((1, 4, 5, 2), (3, 3, 2, 3)), padded_convolution),
    Case("depthwise", "window contract", ((2, 6, 3), (3, 3)), depthwise),
    Case("matrix product", "contract", ((3, 4), (4, 2)), lambda a, b: contracted(a, b, a_over=(1,), b_over=(0,))),
    Case("matrix vector", "contract", ((3, 4), (4,)), lambda a, b: contracted(a, b, a_over=(1,), b_over=(0,))),
    Case("dot", "contract", ((5,), (5,)), lambda a, b: contracted(a, b, a_over=(0,), b_over=(0,))),
    Case("outer", "contract", ((3,), (4,)), lambda a, b: contracted(a, b, a_over=(), b_over=())),
    Case("gram", "contract", ((3, 4),), lambda a: contracted(a, a, a_over=(1,), b_over=(1,))),
    Case("two axes", "contract", ((3, 4, 2), (4, 5, 3)), lambda a, b: contracted(a, b, a_over=(1, 0), b_over=(0, 2))),
    Case(
        "batched", "contract", ((2, 3, 4, 5), (5, 4, 6, 2)),
        lambda a, b: contracted(a, b, a_over=(3,), b_over=(0,), a_batch=(2, 0), b_batch=(1, 3)),
    ),
    Case("batch only", "contract", ((3, 4), (4, 3)), lambda a, b: contracted(a, b, a_over=(), b_over=(), a_batch=(1,),
                                                                           b_batch=(0,))),
    Case("attention", "contract sum", ((2, 3, 2, 4), (2, 5, 2, 4), (2, 5, 2, 4)), attention),
    Case("gather rows", "gather", ((4, 3),), picked(integers(2, 0, 2, 2), 0)),
    Case("gather one row", "gather", ((4, 3),), picked(reshape(integers(1), ()), 0)),
    Case("gather per row", "gather", ((3, 4, 2),), picked(integers(1, 3, 0), 1)),
    Case("gather per row, u32", "gather", ((3, 4),), picked(integers(1, 3, 0, dtype="u32"), 1)),
    Case("gather within rows", "gather", ((2, 4),), picked(reshape(integers(1, 1, 3, 0, 2, 0), (2, 3)), 1)),
    Case("scatter_add", "scatter_add", ((4, 2),), lambda x: make("scatter_add", x, integers(1, 3, 1, 0), batch=0,
                                                                 size=5)),
    Case("sum row", "sum", ((3, 4),), op("sum", axes=(1,))),
    Case("sum column", "sum", ((3, 4, 2),), op("sum", axes=(0, 2))),
    Case("reduce_max row", "reduce_max", ((3, 5),), op("reduce_max", axes=(1,))),
    Case("reduce_max column", "reduce_max", ((3, 5, 2),), op("reduce_max", axes=(0, 2))),
    Case("cross entropy", "gather exp log", ((4, 5),), cross_entropy),
    Case("uses", "mul", ((3,), (3,)), shared_uses),
    Case("between", "sub", ((5,),), between),
    Case("rounded away", "floor rint bitcast", ((5,),), rounded_away, (0.1, 3.1)),
    Case("stop", "stop", ((4,),), through_stop),
    Case("loop", "loop get", ((2, 3), (4, 3, 3), (3,)), lambda *n: loop_case(4, False, *n)),
    Case("loop reversed", "loop get", ((2, 3), (4, 3, 3), (3,)), lambda *n: loop_case(4, True, *n)),
    Case("loop of one turn", "loop get", ((2, 3), (1, 3, 3), (3,)), lambda *n: loop_case(1, False, *n)),
    Case("loop mixed", "loop get", ((3,), (4, 3)), mixed_loop),
    Case("experts", "experts", ((2, 3, 4), (3, 4, 5)), lambda x, w: make("experts", x, w, chosen(2, 3, 2))),
    Case("experts of one map each", "experts", ((6, 4), (3, 4, 5)), lambda x, w: make("experts", x, w, chosen(6))),
    Case("expert sums", "expert_sums", ((4, 3), (4, 2, 5)),
         lambda x, g: make("expert_sums", x, g, chosen(4, 2), size=3)),
    Case("bf16", "bf16", ((3, 4),), op("bf16")),
    Case("f16", "f16", ((3, 4),), op("f16")),
    Case("loop in a loop", "loop get", ((3,), (2, 4, 3), (3,)), nested_loop),
)  # fmt: skip
#: rounds its argument on the way, which differences cannot follow; stop has no difference
NOT_SMOOTH = ("rounded away", "stop", "bf16", "f16")
