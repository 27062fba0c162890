"""Attention as one launch on an OpenCL device: the reference's bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.ir.plan import Routine
from tests.llvm.native import Array
from tests.opencl.native import trial
from tests.trios import SHAPES, Shape, attention, expect, gradient, without_memory

pytestmark = pytest.mark.opencl
Case = Callable[..., tuple[Routine, Array]]


def left(rendered: Rendered, memory: Array) -> Array:
    """Memory after the routine."""
    import pyopencl as cl

    from jobspec.backends.opencl.build import build

    context, flags, found = trial().context, cl.mem_flags, memory.copy()
    program, queue = build(context, rendered.text), cl.CommandQueue(context)
    arena = cl.Buffer(context, flags.READ_WRITE | flags.COPY_HOST_PTR, hostbuf=found)
    for launch, turns in rendered.order():
        function = cl.Kernel(program, launch.symbol)
        for i in range(3):
            function.set_arg(i, arena)
        for i, number in enumerate((np.float32(1), *map(np.int32, turns)), 3):
            function.set_arg(i, number)
        cl.enqueue_nd_range_kernel(queue, function, (launch.groups * launch.items,), (launch.items,))
    cl.enqueue_copy(queue, found, arena)
    queue.finish()
    return found


def test_bits() -> None:
    """With special numbers, and nothing between the kernels in memory."""
    routine, memory = attention(SHAPES[0], special=True)
    made = without_memory(routine)
    expect(made, memory, left(render_routine(made, "opencl"), memory))


@pytest.mark.slow
@pytest.mark.parametrize("case", [attention, gradient])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_readers(case: Case, shape: Shape) -> None:
    """With everything that others may read."""
    for rows, kept in ((8, ()), (16, (4,)), (8, (3, 4))):
        routine, memory = case(shape, rows == 8, rows, kept)
        for each in (routine, without_memory(routine)):
            expect(each, memory, left(render_routine(each, "opencl"), memory))
