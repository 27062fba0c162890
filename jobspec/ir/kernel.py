"""Kernels: loop nests over scalar SSA with the contract's accumulation orders, before any schedule.

Takes: nothing of any target. Promises: a kernel's meaning is fixed by its axes and body alone; any
schedule (tile, vector width, threads, order in time) gives the same bits.

    kernel := kind, axes, body
    kind   := rows      axes outer… row        `reduce` folds the row axis in row order
            | columns   axes kept… reduced…    `reduce` folds the reduced axes, flattened, in column order
            | contract  axes batch… m… n… k…   `product` folds k, flattened, in contraction order
            | scatter   axes rest… place…      `accumulate` adds into rows of the target, ascending place
            | fill      axes outer…            stores only
            | route     axes place             `route` sorts tokens by expert (ir/routing.py)
    inst   := op(args…)                        args are positions of earlier insts in the body

An inst varies over the axes that its loads, indices and arguments vary over. One that depends on no
row (or reduced) axis is computed once per row (kept point). Elements are addressed by views:

    element = offset + Σ strides[axis] * position[axis] + Σ turns[depth] * turn[depth]     (elements, not bytes)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

#: attributes that are views, and the insts whose view is written
VIEWS, WRITES = ("view", "a", "b", "owner", "first", "count"), ("store", "accumulate", "route")
KINDS = ("rows", "columns", "contract", "scatter", "fill", "route")


@dataclass(frozen=True, slots=True)
class Axis:
    """`role`: outer, row | kept, reduced | batch, m, n, k | rest, place."""

    size: int
    role: str


@dataclass(frozen=True, slots=True)
class View:
    """Where an element lies in buffer number `buffer`; `turns` has one stride per enclosing loop, outermost first."""

    buffer: int
    offset: int
    strides: tuple[int, ...]
    turns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Inst:
    """One scalar operation.

    const(dtype, bits)                      a bit pattern
    index(axis)                             the position along an axis, i32
    load(view)                              an element; storage types u8/u16 load as i32, bool as i1, bf16 as f32
    load(i; view, pick, bound, flag)   `pick * i` elements further; i (as u32) ≥ bound raises `flag`, reads for 0
    store(x; view, flag)               NaN is stored as 0x7FC00000; flag ≥ 0: NaN or infinity raises it; -1: no check;
                                            of what goes to a buffer of bf16, the upper half is stored
    reduce(x; how)                          how: sum | max | argmax, over row or reduced axes
    product(a, b)                           a, b: views; the contraction over k
    product(x; a, b; chain)                 leaves are of `chain` steps, and added to x one after another: no tree
    product(a, b; own)                      both hold bfloat16; a leaf may be summed in the device's own order
    product(a, b; owner, pick, bound, tokens)   b is `pick * o` elements further, o = what the view `owner` reads once
                                            per batch position, below `bound`; +0.0 where o is -1
    product(a, b; first, count, tokens)     k runs over the positions first … first + count - 1, read once per batch
                                            position from these views; +0.0 where count is 0
    route(i; view, size, block, flag)       the table of all places' i goes to the target; i (as u32) ≥ size raises it
    accumulate(x, i; view, pick, bound, flag)   target[pick * i + …] += x in ascending place; target was filled before
    any primitive or library op of the op table, on scalars, with its attributes (dtype for cast and bitcast)
    """

    op: str
    args: tuple[int, ...]
    dtype: str
    attrs: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, key: str) -> Any:
        for name, value in self.attrs:
            if name == key:
                return value
        raise KeyError(key)


@dataclass(frozen=True)
class Kernel:
    """One loop nest. `name` is for people: op and place in the text."""

    name: str
    kind: str
    axes: tuple[Axis, ...]
    body: tuple[Inst, ...]

    def axes_of(self, *roles: str) -> list[int]:
        """Numbers of the axes that have one of `roles`, in order."""
        return [i for i, axis in enumerate(self.axes) if axis.role in roles]

    def size(self, *roles: str) -> int:
        """Positions of all axes that have one of `roles`."""
        return prod(self.axes[axis].size for axis in self.axes_of(*roles))

    def views(self) -> tuple[tuple[View, bool], ...]:
        """Every view of the body, with whether it is written."""
        return self._views

    @cached_property
    def _views(self) -> tuple[tuple[View, bool], ...]:
        named = ((inst, key, value) for inst in self.body for key, value in inst.attrs)
        return tuple((value, inst.op in WRITES) for inst, key, value in named if key in VIEWS)


def varying(kernel: Kernel) -> list[frozenset[int]]:
    """For each inst, the axes over which its value varies."""
    inner = set(kernel.axes_of("row", "reduced", "k", "place"))
    result: list[frozenset[int]] = []
    for inst in kernel.body:
        axes = set().union(*(result[a] for a in inst.args)) if inst.args else set()
        if inst.op == "index":
            axes.add(inst["axis"])
        if inst.op in ("load", "store"):
            axes |= {i for i, stride in enumerate(inst["view"].strides) if stride}
        if inst.op == "product":
            axes = {i for i in range(len(kernel.axes)) if i not in inner}
        if inst.op == "reduce":
            axes -= inner
        result.append(frozenset(axes))
    return result


def lie_together(kernel: Kernel, view: View, axis: int, count: int, further: Iterable[int] = ()) -> bool:
    """Whether `count` neighbours along `axis`, the first at a multiple of `count`, always lie side by side, from a
    multiple of `count` elements of the buffer on; `further`: strides of what else moves the view."""
    others = (stride for a, stride in enumerate(view.strides) if a != axis and kernel.axes[a].size > 1)
    places = (view.offset, *view.turns, *others, *further)
    even = kernel.axes[axis].size % count == 0 and all(place % count == 0 for place in places)
    return even and view.strides[axis] == 1


def reduces(kernel: Kernel) -> bool:
    """Whether it folds anything; a contraction's products apart."""
    return any(inst.op == "reduce" for inst in kernel.body)


def may_halve(inst: Inst) -> bool:
    """Whether what its views see may lie in two bytes, as the upper halves of numbers."""
    own = inst.op == "product" and {name for name, _ in inst.attrs} == {"a", "b", "own"}
    return own or inst.op in ("load", "store")


def scans(kernel: Kernel) -> bool:
    """Whether it looks for the place of the first largest, rather than for a value alone."""
    return any(inst.op == "reduce" and inst["how"] == "argmax" for inst in kernel.body)
