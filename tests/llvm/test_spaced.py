"""Elements a few places apart: the interpreter's bits, and not a byte behind the last one is read."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest

from jobspec.backends.llvm.spaced import FURTHEST
from jobspec.ir.kernel import Kernel
from jobspec.ir.target import Target
from tests.llvm.native import FLAGS, TARGETS, Array, Memory, axes, check, compiled, numbers, same

SIZES = (2, 3, 15, 16, 17, 31, 33, 64, 70)
PAGE = mmap.PAGESIZE


def every(step: int, size: int, dtype: str = "f32") -> Kernel:
    """y[i] = x[step * i]."""
    body = axes(row=[size])
    body.store(body.load(0, step, dtype=dtype), 1, 1)
    return body.kernel("rows")


@pytest.mark.parametrize("step", range(2, FURTHEST + 2))
def test_bits(step: int) -> None:
    for size in SIZES:
        x = numbers((size - 1) * step + 1)
        check(every(step, size), [x, np.zeros(size, np.float32)], cuts=(1,))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_other_registers_and_types(target: Target) -> None:
    check(every(3, 37), [numbers(109), np.zeros(37, np.float32)], target, cuts=(1,))
    body = axes(row=[21])
    body.store(body.load(0, 3, dtype="i32"), 1, 1)
    check(body.kernel("rows"), [np.arange(61, dtype=np.uint8), np.zeros(21, np.int32)], target, cuts=(1,))


class AtTheEnd(Memory):
    """The first array ends where memory that may be touched ends."""

    def __post_init__(self) -> None:
        self.map = mmap.mmap(-1, 3 * PAGE)
        self.block = np.frombuffer(self.map, np.uint8)
        first, second = self.arrays
        self.offsets = [2 * PAGE - first.nbytes, 0, PAGE // 2]
        for array, at in zip(self.arrays, self.offsets, strict=False):
            self.block[at : at + array.nbytes] = array.view(np.uint8)
        self.flags = self.block[PAGE // 2 :][: 4 * FLAGS].view(np.int32)
        closed = ctypes.CDLL(None).mprotect(ctypes.c_void_p(self.block.ctypes.data + 2 * PAGE), PAGE, 0)
        assert closed == 0 and second.nbytes <= PAGE // 2


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("step", range(2, FURTHEST + 1))
def test_nothing_behind_the_last_element(step: int, target: Target) -> None:
    for size in SIZES:
        x: Array = numbers((size - 1) * step + 1)
        memory = AtTheEnd([x, np.zeros(size, np.float32)])
        code = compiled(every(step, size), memory, target)
        code.run(memory)
        same(x[::step].copy(), memory.results()[1], f"{size} elements, {step} apart")
        code.library.close()
