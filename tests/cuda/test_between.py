"""Attention as one launch, as NVIDIA's compiler emits it, run under watch: the reference's bits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.ir.plan import Routine
from tests.cuda.machine.machine import Block, Fault, Program
from tests.cuda.programs import clean
from tests.llvm.native import Array
from tests.trios import SHAPES, Shape, attention, expect, gradient, mask

pytestmark = pytest.mark.cuda
Case = Callable[..., tuple[Routine, Array]]


def left(rendered: Rendered, memory: Array) -> list[Array]:
    """Memory after the routine, which touches nothing but what others read: threads in order, and backwards."""
    program = Program(clean("trio", rendered.text, 90).ptx)
    try:
        return [run(rendered, program, memory, backwards) for backwards in (False, True)]
    finally:
        program.close()


def run(rendered: Rendered, program: Program, memory: Array, backwards: bool) -> Array:
    arena, scratch = Block(len(memory), mask(rendered.routine)), Block(64)
    arena.bytes[:] = memory
    for launch, turns in rendered.order():
        args = (arena.address, arena.address, scratch.address, np.float32(1), *turns)
        program.launch(launch.symbol, launch.groups, launch.items, args, [arena, scratch], backwards, launch.shared)
    return arena.bytes


@pytest.mark.parametrize(
    ("case", "shape", "rows", "kept", "items"),
    [(attention, SHAPES[0], 8, (), 128), (gradient, SHAPES[1], 16, (4,), 256)],
    ids=["attention", "gradient"],
)
def test_bits(case: Case, shape: Shape, rows: int, kept: tuple[int, ...], items: int) -> None:
    """Special numbers, and rows that fill no group; threads in order and backwards."""
    routine, memory = case(shape, True, rows, kept, items)
    for found in left(render_routine(routine, "cuda"), memory):
        expect(routine, memory, found)


@pytest.mark.slow
@pytest.mark.parametrize("case", [attention, gradient])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_readers(case: Case, shape: Shape) -> None:
    """Several tiles of keys and of results, several leaves of both contractions, everything that others may read."""
    for rows, kept, items in ((8, (), 128), (8, (3,), 128), (16, (4,), 128), (32, (3, 4), 256), (16, (), 256)):
        routine, memory = case(shape, rows != 16, rows, kept, items)
        for found in left(render_routine(routine, "cuda"), memory):
            expect(routine, memory, found)


def faulty(number: int, shape: Shape) -> None:
    """The launch without the barrier `number` of those that stand by themselves."""
    routine, memory = attention(shape)
    rendered = render_routine(routine, "cuda")
    parts = re.split(r"^ +SYNC;$", rendered.text, flags=re.MULTILINE)
    broken = "SYNC;".join(parts[: number + 1]) + "SYNC;".join(parts[number + 1 :])
    assert len(parts) == 8 and broken != rendered.text
    with pytest.raises(Fault, match=r"race in shared memory|read before it is written"):
        left(replace(rendered, text=broken), memory)


def test_a_barrier_that_is_missing_is_found() -> None:
    """That between the scores and their rows."""
    faulty(2, SHAPES[0])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(7))
def test_every_barrier_is_needed(number: int) -> None:
    """Two tiles of keys, two stages of each contraction."""
    faulty(number, Shape(1, 2, 9, 70, 20, 70))
