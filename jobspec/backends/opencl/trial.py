"""One kernel run on an OpenCL device, by itself.

Takes: a device, a kernel, arrays. Promises: the arrays as the kernel leaves them, for a schedule of one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyopencl as cl

from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.backends.opencl.build import build
from jobspec.backends.reference.numbers import NUMPY, Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule
from jobspec.ir.types import Type

DTYPES = {np.dtype(numpy): dtype for dtype, numpy in NUMPY.items()}
LINE, FLAGS = 64, 64


@dataclass(frozen=True)
class Trial:
    """A device to try kernels on."""

    device: cl.Device

    @cached_property
    def context(self) -> cl.Context:
        return cl.Context([self.device])

    def run(
        self, kernel: Kernel, arrays: Sequence[Array], schedule: Schedule, turns: tuple[int, ...] = ()
    ) -> tuple[list[Array], Array]:
        """The arrays, and the flag words, after the kernel has run once."""
        buffers = laid_out(arrays)
        *_, flags = buffers
        arena = np.zeros(flags.offset + 4 * FLAGS, np.uint8)
        for buffer, array in zip(buffers, arrays, strict=False):
            arena[buffer.offset : buffer.offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        writer = Writer()
        launches = render(Request("k", kernel, schedule, buffers, flags), writer)
        arena = self._run(source("opencl", writer), launches, arena, turns)
        found = [taken(arena, buffer) for buffer in buffers]
        return found[:-1], found[-1]

    def arrays(self, kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> list[Array]:
        """The arrays after the kernel has run once."""
        return self.run(kernel, arrays, schedule)[0]

    def _run(self, text: str, launches: list[Launch], arena: Array, turns: tuple[int, ...]) -> Array:
        program, queue, flags = build(self.context, text), cl.CommandQueue(self.context), cl.mem_flags
        memory = cl.Buffer(self.context, flags.READ_WRITE | flags.COPY_HOST_PTR, hostbuf=arena)
        scratch = cl.Buffer(self.context, flags.READ_WRITE, max([LINE, *(launch.scratch for launch in launches)]))
        for launch in launches:
            function = cl.Kernel(program, launch.symbol)
            for i, space in enumerate((memory, memory, scratch)):
                function.set_arg(i, space)
            for i, number in enumerate((np.float32(1), *map(np.int32, turns[: launch.turns])), 3):
                function.set_arg(i, number)
            cl.enqueue_nd_range_kernel(queue, function, (launch.groups * launch.items,), (launch.items,))
        result = np.empty_like(arena)
        cl.enqueue_copy(queue, result, memory)
        queue.finish()
        return result


def laid_out(arrays: Sequence[Array]) -> tuple[Buffer, ...]:
    """Buffers on lines of their own, the flag words behind them."""
    buffers, offset = [], 0
    types = [*(Type(DTYPES[a.dtype], a.shape) for a in arrays), Type("i32", (FLAGS,))]
    for number, type_ in enumerate(types):
        buffers.append(Buffer(f"b{number}", type_, "arena", offset))
        offset += -(-type_.nbytes // LINE) * LINE
    return tuple(buffers)


def taken(arena: Array, buffer: Buffer) -> Array:
    raw = arena[buffer.offset : buffer.offset + buffer.type.nbytes]
    return raw.view(NUMPY[buffer.type.dtype]).reshape(buffer.type.shape)
