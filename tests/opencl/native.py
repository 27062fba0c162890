"""Kernels run by OpenCL on numpy arrays, compared with the reference interpreter bit for bit.

Promises: arrays lie as a plan would lay them out, guard lines between; `check` fails for one wrong bit, one wrong
flag, one byte written outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyopencl as cl

from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.backends.opencl.build import build
from jobspec.backends.reference.kernels import run_kernel
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule
from jobspec.ir.types import Type
from tests.llvm.native import DTYPES, FLAGS, Array, Memory, same


@cache
def context() -> cl.Context:
    return cl.Context([cl.get_platforms()[0].get_devices()[0]])


def buffers_of(arrays: Sequence[Array], memory: Memory) -> tuple[Buffer, ...]:
    spots = zip(arrays, memory.places, strict=True)
    return tuple(Buffer(f"b{i}", Type(DTYPES[str(a.dtype)], a.shape), "arena", p.offset) for i, (a, p) in enumerate(spots))


def rendered(kernel: Kernel, buffers: tuple[Buffer, ...], flags: Buffer, schedule: Schedule) -> tuple[str, list[Launch]]:
    writer = Writer()
    launches = render(Request("k", kernel, schedule, buffers, flags), writer)
    return source("opencl", writer), launches


def check(
    kernel: Kernel,
    arrays: Sequence[Array],
    schedule: Schedule = Schedule(),  # noqa: B008
    turns: tuple[int, ...] = (),
) -> str:
    """The kernel on the device leaves in memory exactly what the interpreter leaves; gives its text."""
    expected, flags = [a.copy() for a in arrays], np.zeros(FLAGS, np.int32)
    run_kernel(kernel, expected, flags, turns)
    memory = Memory(arrays)
    words = Buffer("flags", Type("i32", (FLAGS,)), "arena", memory.flag_place.offset)
    text, launches = rendered(kernel, buffers_of(arrays, memory), words, schedule)
    program = build(context(), text)
    queue = cl.CommandQueue(context())
    mode = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    arena = cl.Buffer(context(), mode, hostbuf=memory.block)
    scratch = cl.Buffer(context(), cl.mem_flags.READ_WRITE, max([64, *(launch.scratch for launch in launches)]))
    for launch in launches:
        function = cl.Kernel(program, launch.symbol)
        args = (arena, arena, scratch, *map(np.int32, turns[: launch.turns]))
        function(queue, (launch.groups * launch.items,), (launch.items,), *args)
    cl.enqueue_copy(queue, memory.block, arena)
    queue.finish()
    for number, (wanted, found) in enumerate(zip(expected, memory.results(), strict=True)):
        same(wanted, found, f"buffer {number}")
    assert memory.flags.tolist() == flags.tolist(), "flags"
    assert memory.untouched(), "a byte outside the buffers was written"
    return text
