"""Random numbers: counter-based, named, and the same whatever computes them (rule 11 of the language).

Takes: the seed and the path of a draw's name. Promises: the two key words are the first 8 bytes of the digest of seed
and length-prefixed path; the counter is (element, stack, step, stream). For a parameter: element = logical index in one
layer, stack = which layer of a `repeat`, step = stream = 0. For a draw of a step: element = index within the example,
stack = example, step = step, stream = turn of the loops around.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod

from jobspec.ir.digest import digest
from jobspec.ir.program import Node, make
from jobspec.ir.types import row_major
from jobspec.lang.refusal import need
from jobspec.lang.values import bits_of

#: elements that one draw counts, and places that one axis has
MOST, LONGEST_AXIS = 2**32, 2**31


@dataclass(frozen=True)
class Counter:
    """u32 nodes of one shape."""

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


def draw(op: str, key: tuple[int, int], at: Counter) -> Node:
    """`random_bits` (u32), `uniform` on [0, 1) or `normal` (mean 0, deviation 1; f32)."""
    shape = at.element.shape
    return make(op, at.element, at.stack, at.step, at.stream, word(key[0], shape), word(key[1], shape))


def whole(key: tuple[int, int], at: Counter, low: int, high: int) -> Node:
    """Whole numbers of [low, high), i32: the upper word of a 32 by 32 bit product."""
    shape = at.element.shape
    scaled = make("mulhi", draw("random_bits", key, at), word(high - low, shape))
    shift = make("const", dtype="i32", shape=(), bits=(bits_of(low, "i32"),))
    base = make("broadcast", shift, shape=shape, axes=()) if shape else shift
    return make("add", make("cast", scaled, dtype="i32"), base)


def indices(shape: tuple[int, ...]) -> Node:
    """The row-major index of each element, u32."""
    size = prod(shape)
    need(size < MOST, "E0222", f"{size} random numbers in one layer are more than 2^32")
    if size < LONGEST_AXIS:
        return make("reshape", counted(size), shape=shape)
    terms = [along(shape, axis, stride) for axis, stride in enumerate(row_major(shape))]
    return reduce(lambda left, right: make("add", left, right), terms)


def along(shape: tuple[int, ...], axis: int, stride: int) -> Node:
    """`stride` times the position along one axis of `shape`."""
    size = shape[axis]
    steps = make("mul", counted(size), word(stride, (size,)))
    return make("broadcast", steps, shape=shape, axes=(axis,)) if shape != (size,) else steps


def counted(size: int) -> Node:
    """0 … size-1 as u32."""
    return make("cast", make("iota", size=size), dtype="u32")
