"""Small constructors of nodes that several passes need.

Takes: types, shapes, plain numbers. Promises: each returns the obvious node, and no node at all where
the operation would be the identity; numbers are rounded to float32 here and nowhere else.
"""

from __future__ import annotations

import struct

from jobspec.ir.program import Node, make
from jobspec.ir.types import Type

Ints = tuple[int, ...]


def f32_bits(value: float) -> int:
    """Bits of `value` rounded to nearest even; OverflowError beyond binary32's range."""
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return bits


def full(kind: Type, value: float) -> Node:
    """A constant of type `kind`, every element `value`."""
    bits = f32_bits(value) if kind.dtype == "f32" else int(value) & 0xFFFFFFFF
    return make("const", dtype=kind.dtype, shape=kind.shape, bits=(bits,))


def zeros(kind: Type) -> Node:
    return full(kind, 0)


def fill_bits(node: Node) -> int | None:
    """The bit pattern that every element of a constant has; None for anything else."""
    if node.op != "const" or len(node["bits"]) != 1:
        return None
    bits: int = node["bits"][0]
    return bits


def is_fill(node: Node, value: float) -> bool:
    """Whether `node` is an f32 constant with every element exactly `value` (+0.0 and -0.0 differ)."""
    return fill_bits(node) == f32_bits(value) and node.dtype == "f32"


def reshape(x: Node, shape: Ints) -> Node:
    return x if x.shape == shape else make("reshape", x, shape=shape)


def permute(x: Node, axes: Ints) -> Node:
    """Result axis i is axis axes[i] of x."""
    return x if axes == tuple(range(len(axes))) else make("permute", x, axes=axes)


def broadcast(x: Node, shape: Ints, axes: Ints) -> Node:
    """Axis i of x becomes result axis axes[i]; the others repeat. A constant that is the same everywhere stays one."""
    bits = fill_bits(x)
    if bits is not None:
        return make("const", dtype=x.dtype, shape=shape, bits=(bits,))
    return x if x.shape == shape else make("broadcast", x, shape=shape, axes=axes)


def slice_axis(x: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    """Elements start, start+step, … below stop of one axis."""
    spans = [(0, n, 1) for n in x.shape]
    spans[axis] = (start, stop, step)
    return sliced(x, tuple(a for a, _, _ in spans), tuple(b for _, b, _ in spans), tuple(s for _, _, s in spans))


def sliced(x: Node, start: Ints, stop: Ints, step: Ints) -> Node:
    whole = all(a == 0 and b == n and s == 1 for a, b, s, n in zip(start, stop, step, x.shape, strict=True))
    return x if whole else make("slice", x, start=start, stop=stop, step=step)


def padded(x: Node, low: Ints, high: Ints, inner: Ints) -> Node:
    """Zero bits before, after and between the elements of each axis."""
    if not any((*low, *high, *inner)):
        return x
    return make("pad", x, low=low, high=high, inner=inner, bits=0)


def inverse(axes: Ints) -> Ints:
    """The permutation that undoes `axes`."""
    return tuple(axes.index(i) for i in range(len(axes)))
