"""Random well-typed programs and random inputs for them, as hypothesis strategies.

Takes: `programs(...)` draws a program from a menu of operations; `arrays_for(program)` draws an input for each of its
inputs. Promises: every program is well formed and evaluates without an error (indices are clamped into their axis);
tensors have at most 240 elements and rank 4; `SMOOTH` programs are differentiable wherever they are defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from jobspec.ir.build import broadcast, full
from jobspec.ir.program import Node, Program, make
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type

LARGEST, MOST_AXES = 240, 4
SHAPES = ((), (1,), (3,), (4,), (2, 3), (3, 4), (1, 4), (4, 3), (2, 3, 4), (3, 1, 2))
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -7.0, 1e-40, 3e38, float("inf"), float("-inf"), float("nan"))
TAME = (0.5, 1.0, -0.75, 2.0)


@dataclass
class Grower:
    """`nodes` is what new operations are made from; `deep`: how many loops may still be nested."""

    draw: Any
    nodes: list[Node]
    smooth: bool
    deep: int
    names: list[int] = field(default_factory=lambda: [0])

    def pick(self, items: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def whole(self, low: int, high: int) -> int:
        value: int = self.draw(st.integers(low, high))
        return value

    def some(self, *dtypes: str, least: int = 0) -> Node | None:
        """A node of one of `dtypes` with at least `least` axes; mostly a late one, so that chains grow."""
        fitting = [n for n in self.nodes if n.dtype in dtypes and len(n.shape) >= least]
        return self.pick(fitting[-2:] if self.whole(0, 2) else fitting) if fitting else None

    def like(self, x: Node) -> Node:
        """A node of the type of `x`: one at hand, or a constant, or a scalar at hand repeated."""
        same = [n for n in self.nodes if n.type == x.type]
        scalars = [broadcast(n, x.shape, ()) for n in self.nodes if n.type == Type(x.dtype)]
        return self.pick([*same, *scalars, self.constant(x.type)])

    def constant(self, kind: Type) -> Node:
        if kind.dtype == "f32":
            value = self.pick(TAME if self.smooth else SPECIAL)
            if abs(value) == float("inf") or value != value:
                bits = {1.0: 0x7F800000, -1.0: 0xFF800000}.get(np.sign(value), 0x7FC00000)
                return make("const", dtype="f32", shape=kind.shape, bits=(bits,))
            return full(kind, value)
        return full(kind, self.whole(0, 1) if kind.dtype == "bool" else self.pick((0, 1, -1, 2, 31, 40, 12345)))

    def grow(self, steps: int) -> None:
        menu = SMOOTH if self.smooth else MENU
        for _ in range(steps):
            new = self.pick(menu)(self)
            if new is not None and prod(new.shape) <= LARGEST and len(new.shape) <= MOST_AXES:
                self.nodes.append(new)

    def fresh(self, kind: Type) -> Node:
        self.names[0] += 1
        return body_input(f"v{self.names[0]}", kind)


Growth = Callable[[Grower], Node | None]


def unary(*ops: str) -> Growth:
    def grown(g: Grower) -> Node | None:
        x = g.some("f32")
        return make(g.pick(ops), x) if x else None

    return grown


def binary(dtypes: tuple[str, ...], *ops: str) -> Growth:
    def grown(g: Grower) -> Node | None:
        x = g.some(*dtypes)
        if x is None:
            return None
        pair = [x, g.like(x)]
        return make(g.pick(ops), *(pair if g.whole(0, 1) else pair[::-1]))

    return grown


def fused(g: Grower) -> Node | None:
    x = g.some("f32")
    return make("fma", x, g.like(x), g.like(x)) if x else None


def compared(g: Grower) -> Node | None:
    x = g.some("f32", "i32", "u32")
    return make(g.pick(("lt", "le", "eq", "ne")), x, g.like(x)) if x else None


def chosen(g: Grower) -> Node | None:
    x = g.some("f32", "i32")
    return make("select", g.like(make("eq", x, x)), x, g.like(x)) if x else None


def inverted(g: Grower) -> Node | None:
    x = g.some("i32", "u32", "bool")
    return make(g.pick(("not",) if x.dtype == "bool" else ("not", "neg")), x) if x else None


def converted(g: Grower) -> Node | None:
    x = g.some("f32", "i32", "u32", "bool", "u8")
    if x is None:
        return None
    if x.dtype in ("f32", "i32", "u32") and g.whole(0, 2) == 0:
        return make("bitcast", x, dtype=g.pick(("f32", "i32", "u32")))
    return make("cast", x, dtype=g.pick(("f32", "i32", "u32", *(("u8",) if x.dtype in ("i32", "u32") else ()))))


def any_of(g: Grower, least: int = 0) -> Node | None:
    """Something to move."""
    return g.some(*(("f32",) if g.smooth else ("f32", "i32", "bool")), least=least)


def reshaped(g: Grower) -> Node | None:
    x = any_of(g)
    if x is None:
        return None
    size, shape = prod(x.shape), []
    while size > 1 and len(shape) < 3:
        shape.append(g.pick([n for n in range(1, size + 1) if size % n == 0]))
        size //= shape[-1]
    return make("reshape", x, shape=(*shape, size) if size > 1 or g.whole(0, 1) else tuple(shape))


def permuted(g: Grower) -> Node | None:
    x = any_of(g, 1)
    return make("permute", x, axes=tuple(g.draw(st.permutations(range(len(x.shape)))))) if x else None


def repeated(g: Grower) -> Node | None:
    x = any_of(g)
    if x is None:
        return None
    shape, at = list(x.shape), g.whole(0, len(x.shape))
    shape.insert(at, g.whole(1, 3))
    return make("broadcast", x, shape=tuple(shape), axes=tuple(i for i in range(len(shape)) if i != at))


def cut(g: Grower) -> Node | None:
    x = any_of(g, 1)
    if x is None:
        return None
    start = tuple(g.whole(0, n - 1) for n in x.shape)
    stop = tuple(g.whole(a + 1, n) for a, n in zip(start, x.shape, strict=True))
    return make("slice", x, start=start, stop=stop, step=tuple(g.whole(1, 2) for _ in x.shape))


def flipped(g: Grower) -> Node | None:
    x = any_of(g, 1)
    return make("flip", x, axes=tuple(i for i in range(len(x.shape)) if g.whole(0, 1))) if x else None


def windowed(g: Grower) -> Node | None:
    x = any_of(g, 1)
    if x is None:
        return None
    axes = tuple(sorted(g.draw(st.sets(st.integers(0, len(x.shape) - 1), min_size=1, max_size=2))))
    sizes = tuple(g.whole(1, min(3, x.shape[i])) for i in axes)
    return make("window", x, axes=axes, sizes=sizes, strides=tuple(g.whole(1, 3) for _ in axes))


def padded(g: Grower) -> Node | None:
    x = any_of(g, 1)
    if x is None:
        return None
    low, high, inner = (tuple(g.whole(0, 1) for _ in x.shape) for _ in range(3))
    return make("pad", x, low=low, high=high, inner=inner, bits=g.constant(Type(x.dtype))["bits"][0])


def joined(g: Grower) -> Node | None:
    x = any_of(g, 1)
    if x is None:
        return None
    axis = g.whole(0, len(x.shape) - 1)
    same = [n for n in g.nodes if fits(n, x, axis)]
    return make("concat", *(g.pick(same) for _ in range(g.whole(1, 3))), axis=axis)


def fits(n: Node, x: Node, axis: int) -> bool:
    """Whether n and x differ at most along `axis`."""
    if n.dtype != x.dtype or len(n.shape) != len(x.shape):
        return False
    return all(a == b for i, (a, b) in enumerate(zip(n.shape, x.shape, strict=True)) if i != axis)


def contracted(g: Grower) -> Node | None:
    a, b = g.some("f32", least=1), g.some("f32", least=1)
    if a is None or b is None:
        return None
    pairs: list[tuple[int, int, int]] = []
    for i, n in enumerate(a.shape):
        free = [j for j, m in enumerate(b.shape) if m == n and j not in [p[1] for p in pairs]]
        if free and (kind := g.whole(0, 3)):
            pairs.append((i, g.pick(free), min(kind, 2)))
    over, batch = ([(i, j) for i, j, kind in pairs if kind == k] for k in (2, 1))
    over = list(g.draw(st.permutations(over)))
    return make("contract", a, b, a_over=tuple(i for i, _ in over), b_over=tuple(j for _, j in over),
                a_batch=tuple(i for i, _ in batch), b_batch=tuple(j for _, j in batch))  # fmt: skip


def reduced(*ops: str) -> Growth:
    def grown(g: Grower) -> Node | None:
        x = g.some("f32", least=1)
        if x is None:
            return None
        axes = g.draw(st.sets(st.integers(0, len(x.shape) - 1), min_size=1))
        return make(g.pick(ops), x, axes=tuple(sorted(axes)))

    return grown


def index_into(g: Grower, size: int, shape: tuple[int, ...]) -> Node:
    """A constant or computed i32 index in 0 … size-1."""
    found = [n for n in g.nodes if n.type == Type("i32", shape)]
    if found and g.whole(0, 1):
        low = make("max", g.pick(found), full(Type("i32", shape), 0))
        return make("min", low, full(Type("i32", shape), size - 1))
    picks = tuple(g.whole(0, size - 1) for _ in range(prod(shape)))
    return make("const", dtype="i32", shape=shape, bits=picks)


def gathered(g: Grower) -> Node | None:
    x = any_of(g, 1)
    if x is None:
        return None
    batch = g.whole(0, len(x.shape) - 1)
    index = index_into(g, x.shape[batch], (*x.shape[:batch], *g.pick(((), (2,), (3, 1)))))
    return make("gather", x, index, batch=batch)


def scattered(g: Grower) -> Node | None:
    x = g.some("f32", least=1)
    if x is None:
        return None
    rank = g.whole(1, len(x.shape))
    size = g.whole(1, 4)
    return make("scatter_add", x, index_into(g, size, x.shape[:rank]), batch=g.whole(0, rank - 1), size=size)


def counted(g: Grower) -> Node | None:
    return make("iota", size=g.whole(1, 5))


def fixed(g: Grower) -> Node | None:
    return g.constant(Type("f32" if g.smooth else g.pick(("f32", "i32", "bool")), g.pick(SHAPES)))


def looped(g: Grower) -> Node | None:
    """A loop over what is at hand; adds its other results as well and returns one."""
    if not g.deep:
        return None
    dtypes = ("f32",) if g.smooth else ("f32", "i32")
    count = g.whole(1, 3)
    inits = [x for x in (g.some(*dtypes) for _ in range(g.whole(0, 2))) if x is not None]
    long = [n for n in g.nodes if n.shape[:1] == (count,) and n.dtype in dtypes]
    sliced = [g.pick(long) for _ in range(g.whole(0, 2))] if long else []
    shared = [x for x in (g.some(*dtypes) for _ in range(g.whole(0, 2))) if x is not None]
    turn = g.fresh(Type("i32"))
    state = tuple(g.fresh(x.type) for x in inits)
    cuts = tuple(g.fresh(Type(x.dtype, x.shape[1:])) for x in sliced)
    common = tuple(g.fresh(x.type) for x in shared)
    inner = Grower(g.draw, [turn, *state, *cuts, *common], g.smooth, g.deep - 1, g.names)
    inner.grow(g.whole(1, 6))
    step = [(f"c{i}", inner.like(x)) for i, x in enumerate(inits)]
    usable = [n for n in inner.nodes if prod(n.shape) * count <= LARGEST and len(n.shape) < MOST_AXES]
    stacked = [(f"s{i}", inner.pick(usable)) for i in range(g.whole(0 if step else 1, 2))]
    node = Loop(count, bool(g.whole(0, 1)), tuple(inits), tuple(sliced), tuple(shared), turn, state, cuts, common,
                tuple(step), tuple(stacked)).node()  # fmt: skip
    g.nodes += [get(node, i) for i in range(1, len(step) + len(stacked))]
    return get(node, 0)


WORDS = ("i32", "u32")
MOVES: tuple[Growth, ...] = (
    reshaped, permuted, repeated, cut, flipped, windowed, padded, joined, gathered,
)  # fmt: skip
MENU: tuple[Growth, ...] = (
    unary("neg", "abs", "sqrt", "floor", "rint"), unary("exp", "log", "tanh", "erf", "sin", "cos", "rsqrt"),
    binary(("f32",), "add", "sub", "mul", "div"), binary(("f32",), "max", "min", "mul", "add"), fused,
    binary(("f32",), "pow"), binary(WORDS, "add", "sub", "mul", "max", "min"),
    binary((*WORDS, "bool"), "and", "or", "xor"), binary(WORDS, "shl", "shr", "mulhi"), compared, chosen, inverted,
    converted, *MOVES, contracted, reduced("sum", "reduce_max", "argmax"), scattered, counted, fixed, looped, looped,
)  # fmt: skip
SMOOTH: tuple[Growth, ...] = (
    unary("neg", "tanh", "sin", "cos", "erf"), binary(("f32",), "add", "sub", "mul"), fused, *MOVES, contracted,
    reduced("sum"), scattered, fixed, looped, looped, looped,
)  # fmt: skip


@st.composite
def programs(draw: Any, smooth: bool = False, steps: int = 16, deep: int = 2) -> Program:
    """A program with some of its nodes as outputs; `smooth`: of operations that have slopes everywhere."""
    kinds = [Type("f32", draw(st.sampled_from(SHAPES))) for _ in range(draw(st.integers(1, 3)))]
    if not smooth:
        kinds += [Type("i32", draw(st.sampled_from(SHAPES))), Type("u8", draw(st.sampled_from(SHAPES)))]
    inputs = tuple(body_input(f"in.{i}", kind) for i, kind in enumerate(kinds))
    grower = Grower(draw, list(inputs), smooth, deep)
    grower.grow(draw(st.integers(steps // 2, steps)))
    chosen_nodes = [grower.pick(grower.nodes) for _ in range(2)] + grower.nodes[-3:]
    return Program(inputs, tuple((f"out.{i}", node) for i, node in enumerate(chosen_nodes)))


def arrays_for(program: Program, seed: int, wild: bool) -> dict[str, np.ndarray]:
    """An array per input; `wild` mixes in zeros of both signs, infinities, NaN, subnormals and huge numbers."""
    rng = np.random.default_rng(seed)
    return {node["name"]: one_array(rng, node, wild) for node in program.inputs}


def one_array(rng: np.random.Generator, node: Node, wild: bool) -> np.ndarray:
    if node.dtype != "f32":
        low, kind = (0, np.uint8) if node.dtype == "u8" else (-4, np.int32)
        return rng.integers(low, 100, node.shape).astype(kind)
    x = rng.uniform(-1, 1, node.shape).astype(np.float32)
    special = np.array(SPECIAL, np.float32)[rng.integers(0, len(SPECIAL), node.shape)]
    return np.where(rng.random(node.shape) < 0.3, special, x).astype(np.float32) if wild else x
