"""A routine run kernel by kernel, so that each kernel can be timed where it stands.

Takes: a plan and the name of a routine. Promises: `step` runs the same native functions on the same memory in the
same order as the step driver does, on one thread, and gives the processor seconds of every call (what else runs on the
machine hardly shows in them); the time of an empty call has
been taken off.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.convention import Native, Phase, places, turn_count
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.engine import Memory
from jobspec.backends.llvm.kernels import generate
from jobspec.ir.plan import Barrier, Call, Plan, Routine, Steps

Bytes = NDArray[np.uint8]
POINTERS = 4
EMPTY = Native((Phase("empty", 1, 1),))


def block(size: int) -> Bytes:
    """Zeroed bytes as a session takes them: from the start of a page on, large pages where there are many."""
    return Memory(size).bytes


@dataclass(frozen=True)
class Timed:
    """A kernel's functions with the tasks of each."""

    calls: tuple[tuple[Any, int], ...]
    turns: int

    def run(self, pointers: tuple[Any, ...], turns: tuple[int, ...]) -> float:
        """Seconds of processor time that the whole kernel takes."""
        words = turns[: self.turns]
        start = time.thread_time()
        for function, tasks in self.calls:
            function(*pointers, 0, tasks, *words)
        return time.thread_time() - start


class Stepper:
    """A routine of `plan`; `arena`: that of another routine of the same plan, to go on with its state."""

    def __init__(self, plan: Plan, routine: str, arena: Bytes | None = None) -> None:
        self.routine = plan.routine(routine)
        self.arena = block(max(r.arena for r in plan.routines)) if arena is None else arena
        self.feed = block(max(1, self.routine.feed))
        self._load(Compiler(plan.target))
        self._overhead = min(self._empty.run(self._pointers, ()) for _ in range(1000))

    def begin(self) -> None:
        """Constants in their places, all flags down: to be called after another routine has run."""
        for number, data in self.routine.constants:
            self.bytes_of(number)[:] = np.frombuffer(data, np.uint8)
        self.bytes_of(self.routine.flag_buffer)[:] = 0

    def bytes_of(self, number: int) -> Bytes:
        buffer = self.routine.buffers[number]
        space = self.arena if buffer.space == "arena" else self.feed
        return space[buffer.offset : buffer.offset + buffer.type.nbytes]

    def step(self, number: int) -> list[list[float]]:
        """Run step `number` on what `feed` holds; seconds of each call of each kernel."""
        if self.routine.step >= 0:
            self.bytes_of(self.routine.step).view(np.int32)[:] = number
        seconds: list[list[float]] = [[] for _ in self.routine.kernels]
        self._run(self.routine.steps, (), seconds)
        return seconds

    def _run(self, steps: Steps, turns: tuple[int, ...], seconds: list[list[float]]) -> None:
        for step in steps:
            if isinstance(step, Call):
                taken = self._kernels[step.kernel].run(self._pointers, turns) - self._overhead
                seconds[step.kernel].append(max(0.0, taken))
            elif not isinstance(step, Barrier):
                for turn in range(step.count):
                    self._run(step.steps, (*turns, step.count - 1 - turn if step.reverse else turn), seconds)

    def _load(self, compiler: Compiler) -> None:
        texts, natives = written(self.routine, compiler)
        symbols = ["empty", *(phase.symbol for native in natives for phase in native.phases)]
        self._library = Library(compiler.objects_of(texts, 2), symbols, compiler.target)
        scratch = [block(max(n.shared for n in natives)), block(max(n.private for n in natives))]
        self._blocks = [self.arena, self.feed, *scratch]
        self._pointers = tuple(ctypes.c_void_p(b.ctypes.data) for b in self._blocks)
        self._kernels = [self._timed(n, turn_count(k)) for k, n in zip(self.routine.kernels, natives, strict=True)]
        self._empty = self._timed(EMPTY, 0)

    def _timed(self, native: Native, turns: int) -> Timed:
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * POINTERS, *[ctypes.c_int64] * (2 + turns))
        return Timed(tuple((kind(self._library.addresses[p.symbol]), p.tasks) for p in native.phases), turns)


def written(routine: Routine, compiler: Compiler) -> tuple[list[str], list[Native]]:
    """The texts of all kernels and of an empty one; how the kernels are run."""
    where = places(routine.buffers)
    texts, natives = [empty(compiler)], []
    for i, (kernel, schedule) in enumerate(zip(routine.kernels, routine.schedules, strict=True)):
        module = Module(compiler.target)
        natives.append(generate(module, f"kernel{i}", kernel, schedule, where, where[routine.flag_buffer]))
        texts.append(module.text())
    return texts, natives


def empty(compiler: Compiler) -> str:
    """A function of the convention that does nothing."""
    module = Module(compiler.target)
    pointers = [("ptr", name) for name in ("arena", "feed", "shared", "private")]
    function = Function(module, "empty", [*pointers, ("i64", "lo"), ("i64", "hi")])
    module.add(function)
    function.ret()
    return module.text()
