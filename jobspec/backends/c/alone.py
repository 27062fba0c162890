"""One kernel as a program of its own, with memory of its own: how devices and schedules are tried.

Takes: a kernel, the arrays it starts from, a schedule, a dialect. Promises: every array has lines of its own in one
arena, with a line between that nothing may touch; the flag words come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.backends.reference.numbers import NUMPY, Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule
from jobspec.ir.types import Type

DTYPES = {np.dtype(numpy): dtype for dtype, numpy in NUMPY.items()}
LINE, FLAGS = 64, 64


@dataclass(frozen=True)
class Alone:
    """`buffers`: one per array, then the flag words."""

    text: str
    launches: tuple[Launch, ...]
    buffers: tuple[Buffer, ...]
    arrays: tuple[Array, ...]

    @property
    def size(self) -> int:
        """Bytes of the arena."""
        return self.buffers[-1].offset + 4 * FLAGS + LINE

    @property
    def scratch(self) -> int:
        return max([LINE, *(launch.scratch for launch in self.launches)])

    def arena(self) -> Array:
        """Memory as the kernel finds it."""
        memory = np.zeros(self.size, np.uint8)
        for buffer, array in zip(self.buffers, self.arrays, strict=False):
            memory[buffer.offset : buffer.offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        return memory

    def results(self, memory: Array) -> tuple[list[Array], Array]:
        """The arrays, and the flag words, in memory as the kernel left it."""
        found = [taken(memory, buffer) for buffer in self.buffers]
        return found[:-1], found[-1]


def alone(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule, dialect: str) -> Alone:
    buffers, writer = laid_out(arrays), Writer()
    launches = render(Request("k", kernel, schedule, buffers, buffers[-1]), writer)
    return Alone(source(dialect, writer), tuple(launches), buffers, tuple(arrays))


def laid_out(arrays: Sequence[Array]) -> tuple[Buffer, ...]:
    buffers, offset = [], LINE
    types = [*(Type(DTYPES[a.dtype], a.shape) for a in arrays), Type("i32", (FLAGS,))]
    for number, type_ in enumerate(types):
        buffers.append(Buffer(f"b{number}", type_, "arena", offset))
        offset += -(-type_.nbytes // LINE) * LINE + LINE
    return tuple(buffers)


def taken(memory: Array, buffer: Buffer) -> Array:
    raw = memory[buffer.offset : buffer.offset + buffer.type.nbytes]
    return raw.view(NUMPY[buffer.type.dtype]).reshape(buffer.type.shape)
