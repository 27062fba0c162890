"""A routine run kernel by kernel, so that each kernel can be timed where it stands.

Takes: a plan and the name of a routine. Promises: `step` runs the same native functions on the same memory in the
same order as the step driver does, on one thread, and gives the processor seconds of every call (what else runs on the
machine hardly shows in them); the time of an empty call has been taken off.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.convention import Native, Phase, turn_count
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.engine import Memory
from jobspec.backends.llvm.written import Written
from jobspec.backends.session import CallTime
from jobspec.ir.plan import Barrier, Call, Plan, Routine, Schedule, Steps
from jobspec.ir.target import Target

Bytes = NDArray[np.uint8]
POINTERS = 4
EMPTY = Native((Phase("empty", 1, 1),))


def begun(plan: Plan, routine: str, feed: Bytes) -> Stepper:
    """`routine` behind `init`, with one batch in its feed."""
    start = Stepper(plan, "init")
    start.begin()
    start.step(0)
    start.close()
    stepper = Stepper(plan, routine, start.arena)
    stepper.feed[: len(feed)] = feed
    stepper.begin()
    return stepper


def block(size: int) -> Bytes:
    """Zeroed bytes as a session takes them: from the start of a page on, large pages where there are many."""
    return Memory(size).bytes


@dataclass(frozen=True)
class Timed:
    """A kernel's functions with the tasks of each; `table`: where what it touches lies."""

    calls: tuple[tuple[Any, int], ...]
    table: Any
    turns: int

    def run(self, pointers: tuple[Any, ...], turns: tuple[int, ...]) -> float:
        """Seconds of processor time that the whole kernel takes."""
        words = turns[: self.turns]
        start = time.thread_time()
        for function, tasks in self.calls:
            function(*pointers, 0, tasks, self.table, *words)
        return time.thread_time() - start


class Stepper:
    """A routine of `plan`; `arena`: that of another routine of the same plan, to go on with its state."""

    def __init__(self, plan: Plan, routine: str, arena: Bytes | None = None) -> None:
        size, feed = max(r.arena for r in plan.routines), max(1, plan.routine(routine).feed)
        self._open(plan.routine(routine), block(size) if arena is None else arena, block(feed), Objects(plan.target))

    def _open(self, routine: Routine, arena: Bytes, feed: Bytes, objects: Objects) -> None:
        self.routine, self.arena, self.feed, self._objects = routine, arena, feed, objects
        self._load()
        self._overhead = min(self._empty.run(self._pointers, ()) for _ in range(1000))

    def scheduled(self, schedules: Sequence[Schedule]) -> Stepper:
        """The same routine on the same memory, its kernels executed in other ways."""
        other = Stepper.__new__(Stepper)
        other._open(replace(self.routine, schedules=tuple(schedules)), self.arena, self.feed, self._objects)
        return other

    def begin(self) -> None:
        """Constants in their places, all flags down: to be called after another routine has run."""
        for number, data in self.routine.constants:
            self.bytes_of(number)[:] = np.frombuffer(data, np.uint8)
        self.bytes_of(self.routine.flag_buffer)[:] = 0

    def bytes_of(self, number: int) -> Bytes:
        buffer = self.routine.buffers[number]
        space = self.arena if buffer.space == "arena" else self.feed
        return space[buffer.offset : buffer.offset + buffer.type.nbytes]

    def step(self, number: int) -> list[CallTime]:
        """Run step `number` on what `feed` holds; all its calls in their order."""
        if self.routine.step >= 0:
            self.bytes_of(self.routine.step).view(np.int32)[:] = number
        calls: list[CallTime] = []
        self._run(self.routine.steps, (), calls)
        return calls

    def _run(self, steps: Steps, turns: tuple[int, ...], calls: list[CallTime]) -> None:
        for step in steps:
            if isinstance(step, Call):
                begun = time.perf_counter()
                taken = self._kernels[step.kernel].run(self._pointers, turns) - self._overhead
                calls.append(CallTime(step.kernel, begun, max(0.0, taken)))
            elif not isinstance(step, Barrier):
                for turn in range(step.count):
                    self._run(step.steps, (*turns, step.count - 1 - turn if step.reverse else turn), calls)

    def close(self) -> None:
        """Unload the code; the arena stays for another stepper."""
        self._library.close()

    def _load(self) -> None:
        written = Written(self.routine, self._objects.target)
        objects = self._objects.of([empty(self._objects.target), *written.texts()])
        natives = written.natives
        symbols = dict.fromkeys(["empty", *(phase.symbol for native in natives for phase in native.phases)])
        self._library = Library(objects, list(symbols), self._objects.target)
        scratch = [block(max(n.shared for n in natives)), block(max(n.private for n in natives))]
        self._blocks = [self.arena, self.feed, *scratch]
        self._pointers = tuple(ctypes.c_void_p(b.ctypes.data) for b in self._blocks)
        found = zip(self.routine.kernels, natives, written.tables, strict=True)
        self._kernels = [self._timed(native, table, turn_count(kernel)) for kernel, native, table in found]
        self._empty = self._timed(EMPTY, (), 0)

    def _timed(self, native: Native, table: tuple[int, ...], turns: int) -> Timed:
        words, pointer = ctypes.c_int64, ctypes.c_void_p
        kind = ctypes.CFUNCTYPE(None, *[pointer] * POINTERS, words, words, pointer, *[words] * turns)
        calls = tuple((kind(self._library.addresses[p.symbol]), p.tasks) for p in native.phases)
        return Timed(calls, (words * len(table))(*table), turns)


class Objects:
    """Compiled code by its text: what several steppers share is compiled once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[str, bytes] = {}

    def of(self, texts: Sequence[str]) -> list[bytes]:
        fresh = [text for text in texts if text not in self._known]
        self._known |= zip(fresh, Compiler(self.target).objects_of(fresh, 2), strict=True)
        return [self._known[text] for text in texts]


def empty(target: Target) -> str:
    """A function of the convention that does nothing."""
    module = Module(target)
    pointers = [("ptr", name) for name in ("arena", "feed", "shared", "private")]
    function = Function(module, "empty", [*pointers, ("i64", "lo"), ("i64", "hi"), ("ptr", "where")])
    module.add(function)
    function.ret()
    return module.text()
