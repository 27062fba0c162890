"""A session on this machine's processors: state in one arena, routines as native code.

Takes: a plan made for the llvm backend, a number of threads, a folder for objects. Promises: the face of
backends/session.py; Python hands over whole runs of steps and is not called in between. Neither the
number of threads nor anything in the folder changes a bit of a result.
"""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from jobspec.backends.llvm import team
from jobspec.backends.llvm.built import built
from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.machine import LEVEL, runs_here
from jobspec.backends.session import Outcome
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.target import Target

if TYPE_CHECKING:
    from jobspec.backends.llvm.driver import Driver
else:
    Driver = later("jobspec.backends.llvm.driver", "Driver")

Array = NDArray[Any]

LINE = 64
#: from this size on, memory asks for large pages
LARGE = 4 << 20
#: a step below this many vector instructions (about 20 µs) is not worth a second thread
ALONE = 80_000
NUMPY: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "i32": np.int32,
    "u32": np.uint32,
    "bool": np.bool_,
    "u8": np.uint8,
    "u16": np.uint16,
}


def compilers() -> tuple[tuple[str, str], ...]:
    """What turns a plan into code here."""
    return (("llvmlite", str(llvmlite.__version__)), ("llvm", ".".join(map(str, llvm.llvm_version_info))))


def open_session(plan: Plan, job: Job, threads: int, cache: Path | None) -> LlvmSession:
    """A session for `plan` on `threads` threads; objects are kept in `cache`. Raises JobspecError (E0510) where this
    machine lacks what the plan's code needs."""
    if not runs_here(plan.target):
        raise JobspecError(
            "E0510",
            f"the plan is made for the processor `{plan.target.cpu}`, and this one cannot do all that it can",
            help="compile the job on this machine: the same job gives the same bits",
        )
    return LlvmSession(plan, threads, Compiler(plan.target, LEVEL, cache))


class LlvmSession:
    """A loaded plan; routines are compiled when they are first run. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, threads: int, compiler: Compiler) -> None:
        self._plan, self._compiler = plan, compiler
        self._threads = min(max(1, threads), team.MOST)
        self._arena = Memory(max((r.arena for r in plan.routines), default=0))
        self._slots = dict(plan.routines[0].slots)
        self._loaded: dict[str, Loaded] = {}
        self._last = ""

    def write(self, slot: str, value: Array) -> None:
        held = self._slot(slot)
        assert value.dtype == held.dtype and value.shape == held.shape, f"`{slot}` takes {held.dtype}{held.shape}"
        held[...] = value

    def read(self, slot: str) -> Array:
        return self._slot(slot).copy()

    def peek(self, slot: str) -> Array:
        return self._slot(slot)

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        loaded = self.load(routine)
        if self._last != routine:
            self._write_constants(loaded.routine)
            self._last = routine
        done, reports = loaded.run(self._arena, first, feeds)
        return Outcome(reports[:done], done, self._take_flags(loaded.routine))

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.close()
        self._loaded = {}
        self._arena.close()

    def load(self, routine: str) -> Loaded:
        """Compile and load a routine, unless that is done."""
        if routine not in self._loaded:
            self._loaded[routine] = Loaded(self._plan.routine(routine), self._compiler, self._threads)
        return self._loaded[routine]

    def _slot(self, name: str) -> Array:
        """The memory of a tensor of state; it lies at the same place for every routine."""
        return self._view(self._plan.routines[0], self._slots[name])

    def _view(self, routine: Routine, number: int) -> Array:
        buffer = routine.buffers[number]
        raw = self._arena.bytes[buffer.offset : buffer.offset + buffer.type.nbytes]
        return raw.view(NUMPY[buffer.type.dtype]).reshape(buffer.type.shape)

    def _write_constants(self, routine: Routine) -> None:
        """What another routine may have overwritten, the flags too."""
        for number, data in routine.constants:
            self._view(routine, number).reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
        self._view(routine, routine.flag_buffer)[...] = 0

    def _take_flags(self, routine: Routine) -> tuple[str, ...]:
        """What was raised; the flags are down afterwards."""
        words = self._view(routine, routine.flag_buffer)
        raised = tuple(flag for flag, word in zip(routine.flags, words, strict=False) if word)
        words[...] = 0
        return raised


class Memory:
    """Zeroed pages of this process alone: they begin on a cache line."""

    def __init__(self, size: int) -> None:
        # pages that could be shared with other processes, as mmap gives them unasked, are never made large
        self._pages = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if size >= LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):
                self._pages.madvise(mmap.MADV_HUGEPAGE)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self._pages, np.uint8)

    @property
    def address(self) -> int:
        return int(self.bytes.ctypes.data)

    def close(self) -> None:
        """Given back as soon as no array looks at it."""
        del self.bytes
        with suppress(BufferError):
            self._pages.close()


class Loaded:
    """A routine in memory, with its scratch."""

    def __init__(self, routine: Routine, compiler: Compiler, threads: int) -> None:
        self.routine = routine
        code = built(routine, compiler, threads)
        self.threads = team_of(code.work, threads)
        self._library = Library(code.objects, ["run"], compiler.target)
        self._enter = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(team.Job))(self._library.addresses["run"])
        self._shared, self._own = Memory(code.shared), _whole_lines(code.private)
        self._private = Memory(self._own * self.threads)

    def run(self, arena: Memory, first: int, feeds: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32]]:
        """Steps done, and the reports of all that were asked for."""
        reports = np.zeros((len(feeds), len(self.routine.reports)), np.float32)
        feeds = _on_lines(feeds)
        job = team.Job(
            arena=arena.address,
            feeds=feeds.ctypes.data,
            feed=feeds.strides[0] if len(feeds) else 0,
            reports=reports.ctypes.data,
            report=4 * reports.shape[1],
            shared=self._shared.address,
            private=self._private.address,
            own=self._own,
            first=first,
            count=len(feeds),
            team=self.threads,
        )
        return int(self._enter(ctypes.byref(job))), reports

    def close(self) -> None:
        self._library.close()
        self._shared.close()
        self._private.close()


def scratch_of(routine: Routine, target: Target, threads: int) -> int:
    """Bytes beside the arena that `routine` takes once it is loaded with `threads` threads."""
    driver = Driver(routine, target)
    for _ in driver.modules():
        pass
    return driver.shared + _whole_lines(driver.private) * team_of(driver.work, threads)


def team_of(work: int, threads: int) -> int:
    """How many of `threads` threads are worth waking for steps of so many vector instructions."""
    return threads if work > ALONE else 1


def _whole_lines(size: int) -> int:
    """At least one cache line, an odd number of them: the threads' blocks then differ in the sets they fall in."""
    return (-(-size // LINE) | 1) * LINE


def _on_lines(feeds: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same rows, each at the start of a cache line."""
    if feeds.ctypes.data % LINE == 0 and feeds.strides[0] % LINE == 0 and feeds.strides[1] == 1:
        return feeds
    pitch = _whole_lines(feeds.shape[1])
    room = np.empty(len(feeds) * pitch + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    rows = room[start : start + len(feeds) * pitch].reshape(len(feeds), pitch)[:, : feeds.shape[1]]
    rows[...] = feeds
    return rows
