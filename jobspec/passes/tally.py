"""What a kernel, and so a routine, does: floating-point operations and bytes, counted before anything runs.

Takes: kernels with the buffers they work on. Promises: operations are counted as the kernel's body says, each at as
many points as it varies over; a multiply-add counts two, a library function what it consists of; comparisons, choices,
integers and moves count none. Bytes: what a kernel reads and writes, each element once per call, as if no cache held
anything from call to call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from jobspec.ir.contraction import multiplications
from jobspec.ir.kernel import VIEWS, Inst, Kernel, View, varying
from jobspec.ir.library.apply import apply
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Buffer, Call, Routine, Steps, Turns
from jobspec.ir.routing import Routing
from jobspec.ir.types import SIZES

#: operations of one primitive on floats; any other primitive counts none
OPERATIONS = {"fma": 2} | dict.fromkeys(("add", "sub", "mul", "div", "sqrt", "max", "min", "floor", "rint"), 1)
#: insts that are no operations of the op table
OWN = ("const", "index", "load", "store", "reduce", "product", "accumulate", "route")


@dataclass(frozen=True)
class Tally:
    """Floating-point operations of contractions, and others; bytes read and written."""

    contractions: int = 0
    others: int = 0
    read: int = 0
    written: int = 0

    @property
    def operations(self) -> int:
        return self.contractions + self.others

    @property
    def moved(self) -> int:
        return self.read + self.written

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.contractions + other.contractions,
            self.others + other.others,
            self.read + other.read,
            self.written + other.written,
        )

    def times(self, count: int) -> Tally:
        return Tally(count * self.contractions, count * self.others, count * self.read, count * self.written)


def of_routine(routine: Routine) -> Tally:
    """One run of a routine."""
    each = [of_kernel(kernel, routine.buffers) for kernel in routine.kernels]
    return of_steps(routine.steps, each)


def of_steps(steps: Steps, each: Sequence[Tally]) -> Tally:
    """`each`: what a call of each kernel does."""
    total = Tally()
    for step in steps:
        if isinstance(step, Call):
            total += each[step.kernel]
        elif isinstance(step, Turns):
            total += of_steps(step.steps, each).times(step.count)
    return total


def of_kernel(kernel: Kernel, buffers: Sequence[Buffer]) -> Tally:
    """One call of a kernel."""
    sizes = [axis.size for axis in kernel.axes]
    points = [prod(sizes[axis] for axis in axes) for axes in varying(kernel)]
    contractions = others = 0
    for inst, count in zip(kernel.body, points, strict=True):
        if inst.op == "product":
            contractions += 2 * multiplications(kernel)
            others += count * kernel.size("k") // inst["chain"] if inst.args else 0
        elif inst.op == "reduce":
            others += points[inst.args[0]] * (inst["how"] != "argmax")
        elif inst.op == "accumulate":
            others += prod(sizes)
        elif inst.op not in OWN:
            others += count * operations(inst.op, kernel.body[inst.args[-1]].dtype, inst.dtype)
    read, written = traffic(kernel, buffers, points)
    return Tally(contractions, others, sum(read.values()), sum(written.values()))


def touched(kernel: Kernel, buffers: Sequence[Buffer]) -> tuple[dict[int, int], dict[int, int]]:
    """Bytes that one call reads and writes, by the number of the buffer; of one buffer never more than it has, but for
    rows picked by an index."""
    sizes = [axis.size for axis in kernel.axes]
    return traffic(kernel, buffers, [prod(sizes[axis] for axis in axes) for axes in varying(kernel)])


def traffic(
    kernel: Kernel, buffers: Sequence[Buffer], points: Sequence[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """As `touched`; `points`: at how many an inst is evaluated."""
    reads, writes, picked = dict[int, int](), dict[int, int](), dict[int, int]()
    seen: set[tuple[str, View]] = set()
    for inst, count in zip(kernel.body, points, strict=True):
        if inst.op == "load" and inst.args:
            number = inst["view"].buffer
            picked[number] = picked.get(number, 0) + count * item(buffers, inst["view"])
            continue
        for view in views(inst):
            if (inst.op, view) not in seen:
                seen.add((inst.op, view))
                for table in tables(inst, reads, writes):
                    table[view.buffer] = table.get(view.buffer, 0) + elements(kernel, inst, view)
    read = bytes_of(reads, buffers)
    return {n: read.get(n, 0) + picked.get(n, 0) for n in {**read, **picked}}, bytes_of(writes, buffers)


def tables(inst: Inst, reads: dict[int, int], writes: dict[int, int]) -> tuple[dict[int, int], ...]:
    """Where what an inst touches is entered: adding to memory reads it and writes it."""
    return {"store": (writes,), "route": (writes,), "accumulate": (reads, writes)}.get(inst.op, (reads,))


def views(inst: Inst) -> list[View]:
    return [value for key, value in inst.attrs if key in VIEWS]


def elements(kernel: Kernel, inst: Inst, view: View) -> int:
    """Elements that one call touches by way of `view`."""
    if inst.op == "accumulate":
        return prod(axis.size for axis in kernel.axes)
    if inst.op == "route":
        return Routing(prod(axis.size for axis in kernel.axes), inst["size"], inst["block"]).length
    return prod(axis.size for axis, stride in zip(kernel.axes, view.strides, strict=True) if stride)


def item(buffers: Sequence[Buffer], view: View) -> int:
    return SIZES[buffers[view.buffer].type.dtype]


def bytes_of(table: dict[int, int], buffers: Sequence[Buffer]) -> dict[int, int]:
    whole = ((number, buffers[number].type, count) for number, count in table.items())
    return {number: min(count, type.size) * SIZES[type.dtype] for number, type, count in whole}


@cache
def operations(op: str, kind: str, dtype: str) -> int:
    """Floating-point operations of one element of `op`, whose operands have type `kind`."""
    counter: Any = Counter()
    arity = OPS[op].arity
    assert arity is not None, op
    apply(counter, op, kind, dtype, (None,) * arity)
    return int(counter.count)


class Counter:
    """An evaluator that knows no values and counts the operations asked of it."""

    def __init__(self) -> None:
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        def took(*_: object) -> None:
            self.count += OPERATIONS.get(name, 0)

        return took
