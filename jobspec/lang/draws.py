"""Random numbers: counter-based, named, and the same whatever computes them (rule 11 of the language).

Takes: the seed and the path of a draw's name. Promises: the two key words are the first 8 bytes of the digest of seed
and length-prefixed path; the counter is (element, stack, step, stream). For a parameter: element = logical index in one
layer, stack = which layer of a `repeat`, step = 0. For a draw of a step: element = index within the example, stack =
example, step = step, stream + 2 * turn of the `repeat`. Uniforms are u * 2^-24 of the upper 24 bits; normals are
Box-Muller's cosine of streams 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.ir.digest import digest
from jobspec.ir.program import Node, make
from jobspec.lang.constants import PI
from jobspec.lang.values import bits_of, number_node

U32 = 1 << 32


@dataclass(frozen=True)
class Counter:
    """u32 nodes of one shape. `stream` counts up by one per number a draw needs."""

    element: Node
    stack: Node
    step: Node
    stream: Node


def key_of(seed: int, path: Sequence[str]) -> bytes:
    """32 bytes for the draw called `path` of a run with `seed` (0 … 2^64-1)."""
    parts = [part.encode() for part in path]
    named = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return digest("draw", seed.to_bytes(8, "little") + named).raw


def key_words(seed: int, path: Sequence[str]) -> tuple[int, int]:
    raw = key_of(seed, path)
    return int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:8], "little")


def word(x: int, shape: tuple[int, ...]) -> Node:
    """The u32 `x` everywhere."""
    node = make("const", dtype="u32", shape=(), bits=(x,))
    return make("broadcast", node, shape=shape, axes=()) if shape else node


def constant(x: float, shape: tuple[int, ...]) -> Node:
    node = number_node(x, "f32")
    return make("broadcast", node, shape=shape, axes=()) if shape else node


def bits(key: tuple[int, int], at: Counter, offset: int) -> Node:
    shape = at.element.shape
    stream = make("add", at.stream, word(offset, shape)) if offset else at.stream
    return make("random_bits", at.element, at.stack, at.step, stream, word(key[0], shape), word(key[1], shape))


def unit(key: tuple[int, int], at: Counter, offset: int = 0) -> Node:
    """Uniform on [0, 1)."""
    shape = at.element.shape
    high = make("shr", bits(key, at, offset), word(8, shape))
    return make("mul", make("cast", high, dtype="f32"), constant(2.0**-24, shape))


def normal(key: tuple[int, int], at: Counter) -> Node:
    """Standard normal: sqrt(-2 log(1 - u)) * cos(2 pi v)."""
    shape = at.element.shape
    u = make("sub", constant(1.0, shape), unit(key, at, 0))
    radius = make("sqrt", make("mul", constant(-2.0, shape), make("log", u)))
    angle = make("mul", constant(2 * PI, shape), unit(key, at, 1))
    return make("mul", radius, make("cos", angle))


def whole(key: tuple[int, int], at: Counter, low: int, high: int) -> Node:
    """Whole numbers of [low, high), i32: the upper word of a 32 by 32 bit product."""
    shape = at.element.shape
    scaled = make("mulhi", bits(key, at, 0), word(high - low, shape))
    shift = make("const", dtype="i32", shape=(), bits=(bits_of(low, "i32"),))
    base = make("broadcast", shift, shape=shape, axes=()) if shape else shift
    return make("add", make("cast", scaled, dtype="i32"), base)


def indices(shape: tuple[int, ...]) -> Node:
    """The row-major index of each element, u32."""
    size = 1
    for n in shape:
        size *= n
    return make("reshape", make("cast", make("iota", size=size), dtype="u32"), shape=shape)
