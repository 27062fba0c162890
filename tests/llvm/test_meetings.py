"""Barriers that a team does without: threads that run as far ahead of each other as they may leave the same bits."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.backends.llvm import convention
from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.convention import Order, turn_count
from jobspec.backends.llvm.machine import host
from jobspec.backends.llvm.meetings import Meetings, Touching, even, own_block, unrolled
from jobspec.backends.llvm.written import Written
from jobspec.ir.contraction import cut
from jobspec.ir.kernel import View
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Steps
from jobspec.ir.types import Type
from jobspec.loading import open_data, read_spec
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.batches import Feeder, phase_shares
from jobspec.store.home import Home
from tests.llvm.native import Array, axes, scratch
from tests.specs.tiny import SPECS, entries

BATCHES = 2
ORDERS = ("first ahead", "last ahead")


class Native:
    """A routine's kernels as functions on `arena` and `feed`."""

    def __init__(self, routine: Routine, arena: Array, feed: Array) -> None:
        self.routine, written = routine, Written(routine, host())
        objects = Compiler(host()).objects_of(written.texts(), 2)
        self.natives, tables = written.natives, written.tables
        symbols = dict.fromkeys(phase.symbol for native in self.natives for phase in native.phases)
        self.library = Library(objects, list(symbols), host())
        self.tables = [np.array(table, np.int64) for table in tables]
        self.blocks = [arena, feed, scratch(max(n.shared for n in self.natives))]
        self.free = Meetings(routine, self.natives).free()

    def share(self, number: int, phase: int, thread: int, team: int, turns: tuple[int, ...], own: Array) -> None:
        """What a thread does of one phase of kernel `number`."""
        chosen, words = self.natives[number].phases[phase], turns[: turn_count(self.routine.kernels[number])]
        limits = [chosen.tasks * i // team for i in (thread, thread + 1)]
        pointers = [ctypes.c_void_p(block.ctypes.data) for block in (*self.blocks, own)]
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        kind: Any = ctypes.CFUNCTYPE(None, *[pointer] * 4, word, word, pointer, *[word] * len(words))
        kind(self.library.addresses[chosen.symbol])(*pointers, *limits, self.tables[number].ctypes.data, *words)

    def thread(self, number: int, team: int) -> Iterator[None]:
        """What a thread of the team does; it stops where it must wait for the others."""
        own = scratch(max(native.private for native in self.natives))
        yield from self._steps(self.routine.steps, iter(self.free), (), number, team, own)

    def _steps(
        self, steps: Steps, free: Iterator[int], turns: tuple[int, ...], thread: int, team: int, own: Array
    ) -> Iterator[None]:
        for i, step in enumerate(steps):
            if isinstance(step, Barrier):
                if not next(free) >> team & 1:
                    yield
            elif isinstance(step, Call):
                guarded = isinstance(steps[i + 1], Barrier)
                last = len(self.natives[step.kernel].phases) - 1
                for phase in range(last + 1):
                    self.share(step.kernel, phase, thread, team, turns, own)
                    if last and not (guarded and phase == last):
                        yield
            else:
                inside = [next(free) for _ in range(barriers(step.steps))]
                for turn in range(step.count):
                    at = step.count - 1 - turn if step.reverse else turn
                    yield from self._steps(step.steps, iter(inside), (*turns, at), thread, team, own)

    def step(self, number: int, team: int, order: str) -> int:
        """One step in which each thread runs on until it must wait, one after another; how often all met."""
        if self.routine.step >= 0:
            self.bytes_of(self.routine.step).view(np.int32)[:] = number
        threads = [self.thread(t, team) for t in range(team)]
        if order == "last ahead":
            threads.reverse()
        met = 0
        while [None for thread in threads if next(thread, True) is None]:
            met += 1
        return met

    def begin(self) -> None:
        for number, data in self.routine.constants:
            self.bytes_of(number)[:] = np.frombuffer(data, np.uint8)
        self.bytes_of(self.routine.flag_buffer)[:] = 0

    def bytes_of(self, number: int) -> Array:
        buffer = self.routine.buffers[number]
        return self.blocks[buffer.space == "feed"][buffer.offset : buffer.offset + buffer.type.nbytes]


def barriers(steps: Steps) -> int:
    return len({number for kind, number in unrolled(steps) if kind == "barrier"})


@cache
def natives(name: str) -> tuple[Native, Native, Array]:
    """The first routine and the step of a small job, on one memory, and its first batches."""
    home = Home(Path(__file__).parents[2] / "no home")
    spec = entries()[name].spec(home.folder) if name in entries() else read_spec(SPECS / f"{name}.job", {}, home)
    plan, phase = compile_job(spec.job, host()), spec.job.phases[0]
    routine, shares = plan.routine("step"), phase_shares(spec.job, phase, open_data(spec, home))
    rows = Feeder(routine, phase.batches, shares).rows(0, BATCHES)
    arena, feed = scratch(max(routine.arena for routine in plan.routines)), scratch(max(1, routine.feed))
    return Native(plan.routine("init"), arena, feed), Native(routine, arena, feed), rows


def state_after(name: str, team: int, order: str) -> tuple[dict[str, bytes], int]:
    """State after BATCHES steps, and how often threads met in one of them."""
    start, native, rows = natives(name)
    start.blocks[0][:] = 0
    start.begin()
    start.step(0, 1, order)
    native.begin()
    met = 0
    for number, row in enumerate(rows):
        native.blocks[1][: len(row)] = row
        met = native.step(number, team, order)
    return {slot: native.bytes_of(number).tobytes() for slot, number in native.routine.slots}, met


@pytest.mark.parametrize("name", ["digits", "sliding_window", "gpt2_124m", "lstm"])
def test_threads_far_ahead_of_each_other_keep_every_bit(name: str) -> None:
    wanted, _ = state_after(name, 1, ORDERS[0])
    for team in (2, 3, 4):
        for order in ORDERS:
            found, _ = state_after(name, team, order)
            assert [slot for slot in wanted if wanted[slot] != found[slot]] == [], (team, order)


def test_layers_of_a_network_need_no_meeting() -> None:
    """Forward and backward through the layers, a thread keeps to its rows; it waits where weights are updated."""
    _, met = state_after("digits", 2, ORDERS[0])
    assert met == 1


def test_who_shares_scratch_waits_for_its_end() -> None:
    _, native, _ = natives("digits")
    line = unrolled(native.routine.steps)
    for at, (kind, number) in enumerate(line[:-1]):
        barrier = line[at + 1]
        if kind == "call" and barrier[0] == "barrier":
            shared = [replace(n, shared=64) if i == number else n for i, n in enumerate(native.natives)]
            assert not Meetings(native.routine, shared).free()[barrier[1]]


def test_what_a_kernel_touches() -> None:
    """The part of a buffer that its view runs over; all of it where an index or a turn moves the view. A thread has a
    block of its own where no index does, and where the next turn's blocks lie behind all of this one's."""
    b = axes(outer=[8], row=[16])
    b.store(b.load(0, 16, 1, offset=32), 1, 16, 1)
    b.store(b.inst("load", b.inst("index", axis=0, dtype="i32"), view=View(0, 0, (16, 1)), pick=16, bound=9), 2, 16, 1)
    b.store(b.load(3, 16, 1, turns=(128,)), 4, 16, 1)
    b.store(b.load(5, 16, 1, turns=(64,)), 6, 16, 1)
    buffers = tuple(Buffer(f"b{i}", Type("f32", (1024,)), "arena", 4096 * i) for i in range(7))
    order = Order(((8, 0), (16, 1)), 1)
    touching = Touching(b.kernel("rows"), convention.Native((convention.Phase("f", 8, 1, order),)), buffers)
    found = [(a.low, a.high, touching.blocks(a, 2)) for a in touching.accesses if not a.written]
    assert found == [
        (128, 640, (128, 256, ())),
        (0, 4096, None),
        (12288, 16384, (12288, 256, (512,))),
        (20480, 24576, None),
    ]


def test_own_blocks() -> None:
    rows = Order(((6, 0), (4, 1), (10, 2)), 2)
    assert own_block(rows, View(0, 0, (40, 10, 1)), 2) == 120
    assert own_block(rows, View(0, 0, (40, 10, 1)), 12) == 20
    assert own_block(rows, View(0, 0, (40, 10, 1)), 4) is None, "six in four parts"
    assert own_block(rows, View(0, 0, (10, 60, 1)), 2) is None, "rows of both threads lie in turn"
    assert own_block(rows, View(0, 0, (50, 10, 1)), 6) == 50
    assert own_block(rows, View(0, 0, (50, 10, 1)), 12) is None, "blocks are not equally far apart"
    assert own_block(rows, View(0, 0, (0, 10, 1)), 2) is None, "both read all"
    assert own_block(rows, View(0, 0, (4, 1, 24)), 2) is None, "columns of both"
    assert own_block(rows, View(0, 0, (-40, 10, 1)), 2) is None


def test_equal_shares() -> None:
    assert even(Order(((96, 0), (8, 1)), 1, cut(96, 8)), 12, 4)
    assert not even(Order(((96, 0), (8, 1)), 1, cut(96, 8)), 12, 8)
    assert not even(Order(((100, 0), (8, 1)), 1, cut(100, 8)), 13, 13), "tiles of two sizes"
    assert even(Order(((100, 0), (8, 1)), 1, cut(100, 10)), 10, 2)
    assert even(Order(((6, 0), (8, 1)), 1), 18, 3) and not even(Order(((6, 0), (8, 1)), 1), 18, 9)
