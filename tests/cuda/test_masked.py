"""Scores that a causal mask hides are not computed where that changes no bit; where it would, numbers that show it."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.c.masked import Seen, seen
from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Routine
from tests.cuda.machine.machine import Block, Fault, Program
from tests.cuda.programs import clean
from tests.llvm.native import Array, axes
from tests.trios import SCORES, Shape, attention, expect, gradient, mask

pytestmark = pytest.mark.cuda


def left(routine: Routine, memory: Array, closed: Array) -> list[Array]:
    """Memory after the routine as one launch, `closed` bytes untouched: threads in order, and backwards."""
    rendered = render_routine(routine, "cuda")
    program = Program(clean("masked", rendered.text, 90).ptx)
    try:
        return [run(routine, rendered, program, memory, closed, backwards) for backwards in (False, True)]
    finally:
        program.close()


def run(routine: Routine, rendered: Rendered, program: Program, memory: Array, closed: Array, backwards: bool) -> Array:
    arena, scratch = Block(len(memory), mask(routine) & ~closed), Block(64)
    arena.bytes[:] = memory
    for launch, _ in rendered.order():
        args = (arena.address, arena.address, scratch.address, np.float32(1))
        program.launch(launch.symbol, launch.groups, launch.items, args, [arena, scratch], backwards, launch.shared)
    return arena.bytes


def keys_from(routine: Routine, shape: Shape, first: int) -> Array:
    """Bytes of all keys from `first` on, of one example."""
    found = np.zeros(routine.arena, np.uint8)
    keys = routine.buffers[1]
    found[keys.offset + 4 * first * shape.heads * shape.size : keys.offset + keys.type.nbytes] = 1
    return found


@pytest.mark.parametrize(("rows", "items", "seen_keys"), [(8, 128, 64), (32, 256, 128)])
def test_hidden_tiles_are_not_computed(rows: int, items: int, seen_keys: int) -> None:
    """A group's rows see its first tile of keys alone: no other is read, and the bits are the reference's."""
    shape = Shape(1, 2, 8, 140, 3, 2)
    routine, memory = attention(shape, True, rows, (), items)
    for found in left(routine, memory, keys_from(routine, shape, seen_keys)):
        expect(routine, memory, found)


def test_what_others_read_is_computed() -> None:
    shape = Shape(1, 2, 8, 140, 3, 2)
    for routine, memory in (attention(shape, rows=8, kept=(SCORES,)), gradient(shape, rows=8)):
        with pytest.raises(Fault, match="global memory out of bounds"):
            left(routine, memory, keys_from(routine, shape, 64))


def rows_kernel(op: str, turned: bool = False, beside: str = "", reduced: bool = False, hidden: bool = False) -> Kernel:
    """x where a comparison of key and row says so, a constant elsewhere."""
    b = axes(outer=[4], row=[6])
    sides = [b.inst("index", dtype="i32", axis=axis) for axis in ((0, 1) if turned else (1, 0))]
    see, x = b.inst(op, *sides, dtype="bool"), b.load(0, 6, 1)
    if beside:
        see = b.inst(beside, see, b.inst("eq", b.load(1, 6, 1), b.const(1.0), dtype="bool"), dtype="bool")
    y, none = b.inst("mul", x, b.const(0.5)), b.const(-np.inf)
    picked = b.inst("select", see, *((none, y) if hidden else (y, none)))
    if reduced:
        picked = b.inst("sub", picked, b.inst("reduce", x, how="max"))
    b.store(b.inst("sub", picked, b.inst("reduce", picked, how="max")), 2, 6, 1)
    return b.kernel("rows")


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (rows_kernel("le"), Seen(0, True)),
        (rows_kernel("lt"), Seen(0, False)),
        (rows_kernel("lt", turned=True, hidden=True), Seen(0, True)),
        (rows_kernel("le", turned=True, hidden=True), Seen(0, False)),
        (rows_kernel("le", beside="and"), Seen(0, True)),
        (rows_kernel("lt", turned=True, beside="or", hidden=True), Seen(0, True)),
        (rows_kernel("le", beside="or"), None),
        (rows_kernel("le", hidden=True), None),
        (rows_kernel("le", turned=True), None),
        (rows_kernel("eq"), None),
        (rows_kernel("le", reduced=True), None),
    ],
)
def test_what_a_mask_proves(kernel: Kernel, found: Seen | None) -> None:
    assert seen(kernel, 0) == found


# ---- what may not be left out


def first_row(values: list[float], rows: int = 1) -> Array:
    """Of one head whose queries and keys are all 0, so that every key that is seen has the same weight: the last row's
    result."""
    shape = Shape(1, 1, rows, len(values), 1, 1)
    routine, memory = attention(shape)
    for number in (0, 1):
        view_of(routine.buffers[number], memory, memory[:0])[:] = 0
    view_of(routine.buffers[2], memory, memory[:0])[:] = values
    run_routine(routine, memory, np.zeros(0, np.uint8))
    result: Array = view_of(routine.buffers[5], memory, memory[:0])[-1:]
    return result


def test_values_behind_a_weight_of_zero_count() -> None:
    """A NaN or an infinity there makes the row NaN; and a sum of −0 becomes +0."""
    assert first_row([1, 2]).tolist() == [1]
    assert np.isnan(first_row([1, np.inf])).all() and np.isnan(first_row([1, np.nan])).all()
    least = -1e-45
    without, with_ = first_row([least, least], rows=2), first_row([least, least, 1], rows=2)
    assert (without == 0).all() and np.signbit(without).all()
    assert (with_ == 0).all() and not np.signbit(with_).any()


def test_gradients_behind_a_weight_of_zero_count() -> None:
    """The gradient of a weight that is 0 goes into its row's sum: 0 · infinity is NaN."""
    shape = Shape(1, 1, 1, 2, 1, 1)
    for hidden, wanted in ((3.0, False), (np.inf, True)):
        routine, memory = gradient(shape)
        for number, numbers in ((0, [1]), (1, [1, hidden]), (2, [1, 1]), (6, [1, 0])):
            view_of(routine.buffers[number], memory, memory[:0])[:] = numbers
        run_routine(routine, memory, np.zeros(0, np.uint8))
        assert np.isnan(view_of(routine.buffers[5], memory, memory[:0])).all() == wanted


@pytest.mark.parametrize(("keys", "wanted"), [(2, np.nan), (34, 1.0)])
def test_hidden_numbers_take_part_in_the_largest(keys: int, wanted: float) -> None:
    """The second of two keys that are seen is a NaN, which a hidden -inf in its lane takes the place of."""
    routine, memory = attention(Shape(1, 1, 2, keys, 1, 1))
    for number, numbers in ((0, 1.0), (1, [1.0, np.nan] + [0.0] * (keys - 2))):
        view_of(routine.buffers[number], memory, memory[:0])[:] = numbers
    run_routine(routine, memory, np.zeros(0, np.uint8))
    exponentials = view_of(routine.buffers[6], memory, memory[:0])
    assert np.array_equal(exponentials[keys], np.float32(wanted), equal_nan=True)
