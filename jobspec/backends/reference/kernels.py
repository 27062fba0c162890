"""What kernels and routines mean, in numpy: the oracle between fusion and code generation.

Takes: a kernel (or a routine) and the memory it works on. Promises: every inst computed over the whole
domain at once, by the very functions that give the tensor program its meaning; memory is the real
arena, so that buffers which overlap by mistake show.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from jobspec.backends.reference import reductions
from jobspec.backends.reference.contraction import chained, multiply
from jobspec.backends.reference.elementwise import PRIMITIVES, library, saturated
from jobspec.backends.reference.experts import routed
from jobspec.backends.reference.numbers import NUMPY, Array, canonical, from_bits, halved, widened
from jobspec.ir.kernel import Inst, Kernel, View
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Steps
from jobspec.ir.routing import Routing
from jobspec.ir.types import HALVES

Memory = list[Array]
INNER = ("row", "reduced", "k", "place")


def run_kernel(kernel: Kernel, memory: Memory, flags: Array, turns: tuple[int, ...] = ()) -> None:
    """Run `kernel` once; `memory` has one flat array per buffer, `flags` one i32 per flag."""
    with np.errstate(all="ignore"):
        Interpreter(kernel, memory, flags, turns).run()


def run_routine(routine: Routine, arena: Array, feed: Array) -> dict[str, np.float32]:
    """Run `routine` once on the bytes of `arena` and `feed` (both uint8); the reports by name.

    Constants are written first; the step number is the caller's.
    """
    memory = [view_of(b, arena, feed) for b in routine.buffers]
    for number, data in routine.constants:
        memory[number].view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    run_steps(routine.steps, routine, memory, ())
    return {name: memory[number][0] for name, number in routine.reports}


def view_of(buffer: Buffer, arena: Array, feed: Array) -> Array:
    """The flat array of one buffer; of one that is in no memory, one of its own."""
    if buffer.space == "group":
        return np.zeros(buffer.type.size, NUMPY[buffer.type.dtype])
    space = feed if buffer.space == "feed" else arena
    return space[buffer.offset : buffer.offset + buffer.type.nbytes].view(NUMPY[buffer.type.dtype])


def run_steps(steps: Steps, routine: Routine, memory: Memory, turns: tuple[int, ...]) -> None:
    for step in steps:
        if isinstance(step, Barrier):
            continue
        if isinstance(step, Call):
            run_kernel(routine.kernels[step.kernel], memory, memory[routine.flag_buffer], turns)
        else:
            for turn in reversed(range(step.count)) if step.reverse else range(step.count):
                run_steps(step.steps, routine, memory, (*turns, turn))


class Interpreter:
    """One run of one kernel; a value is an array over all axes, of size 1 where it does not vary."""

    def __init__(self, kernel: Kernel, memory: Memory, flags: Array, turns: tuple[int, ...]) -> None:
        self.kernel, self.memory, self.flags, self.turns = kernel, memory, flags, turns
        self.sizes = tuple(axis.size for axis in kernel.axes)
        self.inner = tuple(kernel.axes_of(*INNER)) if kernel.kind != "fill" else ()
        self.values: list[Array] = []

    def run(self) -> None:
        for inst in self.kernel.body:
            self.values.append(self._value(inst))

    def _value(self, inst: Inst) -> Array:
        args = [self.values[a] for a in inst.args]
        special = getattr(self, f"_{inst.op}", None)
        if special is not None:
            result: Array = special(inst, *args)
            return result
        if inst.op in ("cast", "bitcast"):
            return converted(inst, args[0])
        function = library(inst.op) if OPS[inst.op].has("library") else PRIMITIVES[inst.op]
        return function(*np.broadcast_arrays(*args))

    def _grid(self, axis: int) -> Array:
        return np.arange(self.sizes[axis]).reshape([-1 if i == axis else 1 for i in range(len(self.sizes))])

    def _address(self, view: View) -> Array:
        base = view.offset + sum(s * t for s, t in zip(view.turns, self.turns, strict=True))
        address = np.full((1,) * len(self.sizes), base)
        for axis, stride in enumerate(view.strides):
            if stride:
                address = address + stride * self._grid(axis)
        return address

    def _const(self, inst: Inst) -> Array:
        return from_bits(inst.dtype, (inst["bits"],)).reshape((1,) * len(self.sizes))

    def _index(self, inst: Inst) -> Array:
        return self._grid(inst["axis"]).astype(np.int32)

    def _load(self, inst: Inst, *picked: Array) -> Array:
        address = self._address(inst["view"])
        if picked:
            address = address + inst["pick"] * self._checked(inst, picked[0])
        value = self.memory[inst["view"].buffer][address]
        return read(value)

    def _checked(self, inst: Inst | dict[str, Any], index: Array) -> Array:
        wide = index.astype(np.int64)
        wrong = (wide < 0) | (wide >= inst["bound"])
        if wrong.any():
            self.flags[inst["flag"]] = 1
        return np.where(wrong, 0, wide)

    def _store(self, inst: Inst, value: Array) -> Array:
        address = self._address(inst["view"])
        target, stored = self.memory[inst["view"].buffer], canonical(value)
        target[address] = np.broadcast_to(halved(stored) if target.dtype == NUMPY[HALVES] else stored, address.shape)
        if inst["flag"] >= 0 and not np.isfinite(value).all():
            self.flags[inst["flag"]] = 1
        return value

    def _reduce(self, inst: Inst, value: Array) -> Array:
        full = np.broadcast_to(value, tuple(n if i in self.inner else value.shape[i] for i, n in enumerate(self.sizes)))
        elements = reductions.reduced_first(full, self.inner)
        folded = self._fold(inst["how"], elements)
        return folded.reshape([1 if i in self.inner else n for i, n in enumerate(full.shape)])

    def _fold(self, how: str, elements: Array) -> Array:
        if how == "argmax":
            return reductions.argmax(elements, (0,))
        combine = np.add if how == "sum" else reductions.larger
        if self.kernel.kind == "rows":
            return reductions.row_order(elements, combine)
        return reductions.column_order(elements, combine, 0.0 if how == "sum" else None)

    def _product(self, inst: Inst, *start: Array) -> Array:
        batch, m, n, k = (self.kernel.axes_of(role) for role in ("batch", "m", "n", "k"))
        a = self._operand(inst["a"], batch, m, k)
        b = self._operand(inst["b"], batch, k, n, moved=self._owned(inst))
        shape = [self.sizes[i] for i in (*batch, *m, *n)] + [1] * len(k)
        if start:
            total = np.broadcast_to(start[0], shape).reshape(len(a), a.shape[1], b.shape[2])
            return chained(total, a, b, inst["chain"]).reshape(shape)
        return self._multiplied(inst, a, b).reshape(shape)

    def _owned(self, inst: Inst) -> Array | int:
        """Elements by which the owner of each batch position moves b."""
        if not any(name == "owner" for name, _ in inst.attrs):
            return 0
        owners = np.maximum(self.memory[inst["owner"].buffer][self._address(inst["owner"])], 0)
        moved: Array = owners.astype(np.int64) * inst["pick"]
        return moved

    def _multiplied(self, inst: Inst, a: Array, b: Array) -> Array:
        """The products of [batch, m, k] and [batch, k, n], where an index leaves out whole batches, or parts of k."""
        attrs = dict(inst.attrs)
        if "owner" in attrs:
            used = self._per_batch(attrs["owner"]) >= 0
            return np.where(used[:, None, None], multiply(a, b), np.float32(0))
        if "first" not in attrs:
            return multiply(a, b)
        spans = [self._per_batch(attrs[name]).tolist() for name in ("first", "count")]
        out = np.zeros((len(a), a.shape[1], b.shape[2]), np.float32)
        for e, (first, count) in enumerate(zip(*spans, strict=True)):
            if count:
                out[e] = multiply(a[e : e + 1, :, first : first + count], b[e : e + 1, first : first + count])[0]
        return out

    def _per_batch(self, view: View) -> Array:
        """What `view` reads at each batch position."""
        shape = [n if i in self.kernel.axes_of("batch") else 1 for i, n in enumerate(self.sizes)]
        values: Array = np.broadcast_to(self.memory[view.buffer][self._address(view)], shape).reshape(-1)
        return values

    def _route(self, inst: Inst, index: Array) -> Array:
        table = Routing(prod(self.sizes), inst["size"], inst["block"])
        checked = self._checked({**dict(inst.attrs), "bound": inst["size"]}, index)
        flat = np.broadcast_to(checked, self.sizes).reshape(-1)
        start = int(self._address(inst["view"]).reshape(-1)[0])
        self.memory[inst["view"].buffer][start : start + table.length] = routed(flat, table)
        return index

    def _operand(self, view: View, *groups: list[int], moved: Array | int = 0) -> Array:
        """An operand as an array with one axis per group of axes; `moved`: elements further, per batch position."""
        own = [axis for group in groups for axis in group]
        shape = [self.sizes[i] if i in own else 1 for i in range(len(self.sizes))]
        values = read(self.memory[view.buffer][np.broadcast_to(self._address(view) + moved, shape)])
        others = [i for i in range(len(self.sizes)) if i not in own]
        return values.transpose(*own, *others).reshape([prod(self.sizes[i] for i in group) for group in groups])

    def _accumulate(self, inst: Inst, value: Array, index: Array) -> Array:
        target = self.memory[inst["view"].buffer]
        address = self._address(inst["view"]) + inst["pick"] * self._checked(inst, index)
        rest = [i for i in range(len(self.sizes)) if i not in self.inner]
        order, count = (*self.inner, *rest), prod(self.sizes[i] for i in self.inner)
        places = np.broadcast_to(address, self.sizes).transpose(order).reshape(count, -1)
        values = np.broadcast_to(value, self.sizes).transpose(order).reshape(places.shape)
        for place, element in zip(places, values, strict=True):
            target[place] += element
        return value


def read(value: Array) -> Array:
    """As a body holds what lies in memory."""
    if value.dtype == NUMPY[HALVES]:
        return widened(value)
    held: Array = value.astype(np.int32) if value.dtype in (np.uint8, np.uint16) else value
    return held


def converted(inst: Inst, x: Array) -> Array:
    """cast and bitcast to the inst's type."""
    if inst.op == "bitcast":
        return canonical(x).view(NUMPY[inst.dtype])
    if x.dtype == np.float32 and inst.dtype != "f32":
        return saturated(x, inst.dtype)
    return x.astype(NUMPY[inst.dtype])
