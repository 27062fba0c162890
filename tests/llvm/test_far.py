"""Addresses beyond 2^31 elements and 2^32 bytes, on memory of which only the pages in use exist."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator

import numpy as np
import pytest

from jobspec.backends.llvm.convention import Place
from jobspec.backends.llvm.module import Module
from jobspec.backends.llvm.walks import LONGEST, Even, along, offsets
from jobspec.backends.reference.kernels import run_kernel
from jobspec.ir.kernel import Inst, Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.passes.schedule_contract import choose
from tests.llvm.native import FLAGS, TARGETS, Array, axes, compiled, numbers, same

#: bytes of the whole block; the near buffers lie in its first pages
ROOM, NEAR = 5 << 30, 1 << 16
#: elements: two of these are more than 2^32 bytes of floats; one is more than 2^31 bytes
FAR, FAR_BYTES = (1 << 29) + 3, (1 << 31) + 5
COUNT = 2048


class Far:
    """Buffers: 0 all of the block as floats, 1 results, 2 indices, 3 all of it as bytes."""

    def __init__(self, block: Array) -> None:
        self.block = block
        self.places = tuple(Place("arena", i, kind) for i, kind in enumerate(("f32", "f32", "i32", "u8")))
        self.flag_place = Place("arena", 4, "i32")
        self.table = np.array([NEAR, 0, 16384, NEAR, *range(32768, 32768 + 4 * FLAGS, 4)], np.int64)

    def arrays(self) -> list[Array]:
        far = self.block[NEAR:]
        near = [self.block[at : at + 4 * COUNT] for at in (0, 16384)]
        return [far.view(np.float32), near[0].view(np.float32), near[1].view(np.int32), far]

    def check(self, kernel: Kernel, turns: tuple[int, ...] = ()) -> None:
        """Native and interpreted, one after the other on the same memory: the same results."""
        schedule = choose(kernel, TARGETS[0]) if kernel.kind == "contract" else Schedule()
        found = self.ran(lambda: compiled(kernel, self, schedule=schedule, turns=len(turns)).run(self, 1, turns))  # type: ignore[arg-type]
        flags = np.zeros(FLAGS, np.int32)
        wanted = self.ran(lambda: run_kernel(kernel, self.arrays(), flags, turns))
        assert np.abs(wanted).max() > 0 and not flags.any()
        same(wanted, found, kernel.kind)

    def ran(self, run: object) -> Array:
        """The results and the far elements after a run from the same start."""
        self.filled()
        assert callable(run)
        run()
        far, near, *_ = self.arrays()
        return np.concatenate([near, *(far[i * FAR : i * FAR + COUNT] for i in range(3))])

    def filled(self) -> None:
        far, near, picks, octets = self.arrays()
        near[:] = 0
        picks[:] = np.arange(COUNT) * 2 % 3
        for i in range(3):
            far[i * FAR : i * FAR + COUNT] = numbers(COUNT, i + 1)
        octets[FAR_BYTES : FAR_BYTES + COUNT] = np.arange(COUNT) % 251


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    pages = mmap.mmap(-1, ROOM, flags=flags)
    held = Far(np.frombuffer(pages, np.uint8))
    yield held
    del held.block


def test_rows_far_apart(far: Far) -> None:
    b = axes(outer=[3], row=[50])
    b.store(b.inst("reduce", b.load(0, FAR, 1), how="sum"), 1, 1, 0)
    far.check(b.kernel("rows"))


def test_lanes_far_apart(far: Far) -> None:
    b = axes(outer=[50], row=[3])
    b.store(b.inst("neg", b.load(0, 1, FAR)), 1, 3, 1)
    far.check(b.kernel("rows"))


def test_bytes_and_offsets(far: Far) -> None:
    b = axes(row=[100])
    octets = b.inst("cast", b.load(3, 1, offset=FAR_BYTES, dtype="i32"), dtype="f32")
    b.store(b.inst("add", octets, b.load(0, 1, offset=2 * FAR)), 1, 1)
    far.check(b.kernel("rows"))


def test_turns(far: Far) -> None:
    b = axes(row=[100])
    b.store(b.load(0, 1, turns=(FAR,)), 1, 1)
    kernel = b.kernel("rows")
    body = (kernel.body[0], Inst("store", (0,), "f32", (("view", View(1, 0, (1,), (0,))), ("flag", -1))))
    far.check(Kernel("test", "rows", kernel.axes, body), turns=(2,))


def test_columns(far: Far) -> None:
    b = axes(kept=[50], reduced=[3])
    b.store(b.inst("reduce", b.load(0, 1, FAR), how="sum"), 1, 1, 0)
    far.check(b.kernel("columns"))


def test_contraction(far: Far) -> None:
    """k runs over far parts: the table of its offsets holds more than 32 bits."""
    b = axes(m=[5], n=[40], k=[3, 20])
    b.store(b.inst("product", a=View(0, 0, (20, 0, FAR, 1)), b=View(0, 64, (0, 1, FAR, 40))), 1, 40, 1, 0, 0)
    far.check(b.kernel("contract"))


def test_picked_rows(far: Far) -> None:
    b = axes(outer=[40], row=[20])
    at = b.load(2, 1, 0, dtype="i32")
    x = b.inst("load", at, view=View(0, 0, (0, 1)), pick=FAR, bound=3, flag=0)
    b.store(x, 1, 20, 1)
    far.check(b.kernel("rows"))


def test_scattered_rows(far: Far) -> None:
    b = axes(rest=[20], place=[40])
    at = b.load(2, 0, 1, dtype="i32")
    b.inst("accumulate", b.const(1.5), at, view=View(0, 0, (1, 0)), pick=FAR, bound=3, flag=0)
    far.check(b.kernel("scatter"))


def test_long_tables_are_not_written() -> None:
    """However long the axes of k are, a table lists a block, and its walk is the whole walk."""
    for sizes in ((6, 8192, 128), (8191, 100), (3, 16384, 2, 2), (40960, 3, 5), (7, 9)):
        walk = [(size, 8 * 10 ** (3 - i)) for i, size in enumerate(sizes)]
        module = Module(TARGETS[0])
        found = along(module, "table", walk)
        text = module.text()
        assert len(text) < 24 * LONGEST
        entries = [int(n) for n in re.findall(r"i(?:32|64) (-?\d+)[,\]]", text)]
        block = [found.walk.stride * i for i in range(found.period)] if isinstance(found.walk, Even) else entries
        assert len(block) == found.period
        starts = np.array(offsets(found.outer))[:, None]
        assert np.array_equal((starts + np.array(block)).reshape(-1), np.array(offsets(walk)))
