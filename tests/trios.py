"""Trios of kernels (ir/trio.py) as a device's tests run them: attention and its gradient, written by hand.

Promises: `attention` and `gradient` give a routine whose three kernels are one launch, `left` what the reference leaves
of it; buffers that nobody else reads are not compared, as they need not be written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from jobspec.backends.c.alone import FLAGS, LINE, laid_out
from jobspec.backends.c.routine import render_routine
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Schedule
from jobspec.ir.plan_check import check_routine
from jobspec.ir.trio import trios
from jobspec.passes import schedule_between
from jobspec.passes.schedule_between import Rows
from tests.llvm.native import Array, axes, numbers, same

#: in `attention` and `gradient`: what lies between the kernels
SCORES, WEIGHTS = 3, 4


@dataclass(frozen=True)
class Shape:
    """Heads of `batch` examples, `rows` of each by `keys`; scores are sums over `size`, results are `out` wide."""

    batch: int
    heads: int
    rows: int
    keys: int
    size: int
    out: int

    def beside(self, places: int, width: int) -> tuple[int, int, int, int]:
        """Strides over batch, heads, places and width where heads lie beside each other."""
        return places * self.heads * width, width, self.heads * width, 1

    @property
    def scores(self) -> tuple[int, int, int, int]:
        """Strides over batch, heads, rows and keys."""
        return self.rows * self.heads * self.keys, self.keys, self.heads * self.keys, 1

    def tensors(self, special: bool) -> list[Array]:
        """Both factors of the scores, the values, what lies between, the result."""
        s = self
        sizes = (s.rows * s.size, s.keys * s.size, s.keys * s.out)
        given = [numbers(s.batch * s.heads * size, i, special) for i, size in enumerate(sizes)]
        between = [np.zeros(s.batch * s.heads * s.rows * s.keys, np.float32) for _ in range(2)]
        return [*given, *between, np.zeros(s.batch * s.heads * s.rows * s.out, np.float32)]


def attention(
    shape: Shape, special: bool = False, rows: int = 8, kept: Collection[int] = (), items: int = 128
) -> tuple[Routine, Array]:
    """Causal softmax(scale · q kᵀ) v; the exponentials and their sums are stored too."""
    s = shape
    b = axes(outer=[s.batch, s.rows, s.heads], row=[s.keys])
    walk = over_rows(s)
    seen = b.inst("le", b.inst("index", dtype="i32", axis=3), b.inst("index", dtype="i32", axis=1), dtype="bool")
    x = b.inst("mul", b.load(SCORES, *walk), b.const(s.size**-0.5))
    x = b.inst("select", seen, x, b.const(-np.inf))
    e = b.inst("exp", b.inst("sub", x, b.inst("reduce", x, how="max")))
    total = b.inst("reduce", e, how="sum")
    b.store(b.inst("mul", e, b.inst("div", b.const(1), total)), WEIGHTS, *walk)
    b.store(e, 6, *walk)
    b.store(total, 7, s.rows * s.heads, s.heads, 1, 0)
    more = [np.zeros(s.batch * s.rows * s.heads * n, np.float32) for n in (s.keys, 1)]
    return routine_of(three(s, b.kernel("rows")), [*s.tensors(special), *more], Rows(rows, items), kept)


def gradient(
    shape: Shape, special: bool = False, rows: int = 8, kept: Collection[int] = (), items: int = 128
) -> tuple[Routine, Array]:
    """(p (dp - Σ p dp)) k, where dp is a contraction, and p lies in memory."""
    s = shape
    b = axes(outer=[s.batch, s.rows, s.heads], row=[s.keys])
    walk = over_rows(s)
    p, dp = b.load(6, *walk), b.load(SCORES, *walk)
    total = b.inst("reduce", b.inst("mul", dp, p), how="sum")
    b.store(b.inst("mul", p, b.inst("sub", dp, total)), WEIGHTS, *walk)
    weights = np.abs(numbers(s.batch * s.rows * s.heads * s.keys, 9))
    return routine_of(three(s, b.kernel("rows")), [*s.tensors(special), weights], Rows(rows, items), kept)


def over_rows(s: Shape) -> tuple[int, int, int, int]:
    """Strides of the scores over batch, rows, heads and keys."""
    return s.scores[0], s.scores[2], s.scores[1], 1


def three(s: Shape, middle: Kernel) -> list[Kernel]:
    """The kernel between its contractions."""
    first = axes(batch=[s.batch, s.heads], m=[s.rows], n=[s.keys], k=[s.size])
    q, k = s.beside(s.rows, s.size), s.beside(s.keys, s.size)
    factors = View(0, 0, (*q[:3], 0, q[3])), View(1, 0, (*k[:2], 0, *k[2:]))
    first.store(first.inst("product", a=factors[0], b=factors[1]), SCORES, *s.scores, 0)
    last = axes(batch=[s.batch, s.heads], m=[s.rows], n=[s.out], k=[s.keys])
    v, o = s.beside(s.keys, s.out), s.beside(s.rows, s.out)
    factors = View(WEIGHTS, 0, (*s.scores[:3], 0, 1)), View(2, 0, (*v[:2], 0, 1, v[2]))
    last.store(last.inst("product", a=factors[0], b=factors[1]), 5, *o, 0)
    return [first.kernel("contract"), middle, last.kernel("contract")]


def routine_of(kernels: list[Kernel], arrays: list[Array], group: Rows, kept: Collection[int]) -> tuple[Routine, Array]:
    """The kernels one after another, and the memory that they start from; buffers that are `kept` are slots."""
    buffers = laid_out(arrays)
    schedules = (Schedule(), group.schedule, Schedule())
    steps = tuple(step for i in range(len(kernels)) for step in (Call(i), Barrier()))
    slots = tuple((f"slot {number}", number) for number in kept)
    end, flags = buffers[-1].offset + 4 * FLAGS + LINE, len(buffers) - 1
    made = Routine("step", tuple(kernels), schedules, buffers, steps, slots, (), (), (), (), flags, -1, end, 0)
    check_routine(made)
    memory = np.zeros(end, np.uint8)
    for buffer, array in zip(buffers, arrays, strict=False):
        memory[buffer.offset : buffer.offset + array.nbytes] = array.view(np.uint8)
    return made, memory


def apart(routine: Routine) -> Routine:
    """The same, every kernel by itself."""
    return replace(routine, schedules=tuple(Schedule() for _ in routine.kernels))


def without_memory(routine: Routine) -> Routine:
    """The same, with no memory for what nobody else reads."""
    return replace(routine, buffers=schedule_between.without_memory(routine.buffers, trios(routine)))


def compared(routine: Routine) -> Iterator[Buffer]:
    """Buffers that somebody reads."""
    unseen = {number for trio in trios(routine) for number in trio.unseen}
    yield from (buffer for number, buffer in enumerate(routine.buffers) if number not in unseen)


def mask(routine: Routine) -> Array:
    """Bytes that may be touched when the three are one."""
    found = np.zeros(routine.arena, np.uint8)
    for buffer in compared(routine):
        found[buffer.offset : buffer.offset + buffer.type.nbytes] = 1
    return found


def expect(routine: Routine, memory: Array, found: Array) -> None:
    """`found` is what the reference makes of `memory`, and one launch made it."""
    assert len(list(render_routine(routine, "opencl").order())) == 1
    wanted, feed = memory.copy(), np.zeros(0, np.uint8)
    run_routine(routine, wanted, feed)
    for buffer in compared(routine):
        same(view_of(buffer, wanted, feed), view_of(buffer, found, feed), buffer.name)


SHAPES = (
    Shape(2, 3, 18, 18, 12, 12),
    Shape(1, 2, 9, 70, 5, 70),
    Shape(2, 1, 3, 300, 300, 8),
)
