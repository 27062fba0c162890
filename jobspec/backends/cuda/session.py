"""A session on a GPU: state in one block of its memory, each routine one captured graph.

Takes: a plan made for the GPU's sm level, an open driver. Promises: the face of backends/session.py. All memory is
taken when the session opens. A step is one start of one graph: no Python between its kernels; the next step's
batch is uploaded meanwhile, into the other of two feeds. The host looks at reports and flags once a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.c.source import RENDERER
from jobspec.backends.cuda.build import Builder
from jobspec.backends.cuda.driver import Bytes, CopyIn, CopyOut, Driver, Kernel, Work
from jobspec.backends.cuda.nvrtc import version
from jobspec.backends.cuda.target import level_of
from jobspec.backends.reference.numbers import NUMPY
from jobspec.backends.session import Outcome
from jobspec.ir.errors import JobspecError
from jobspec.ir.plan import Buffer, Plan, Routine

Array = NDArray[Any]
LINE = 64


def compilers() -> tuple[tuple[str, str], ...]:
    """What turns a plan into code."""
    return (("jobspec-c", RENDERER), ("nvrtc", version()))


def opened(plan: Plan, driver: Callable[[], Driver], cache: Path | None) -> CudaSession:
    """A session on the device that `driver` opens, which is given back where there can be none."""
    device = driver()
    try:
        return open_session(plan, device, cache)
    except BaseException:
        device.close()
        raise


def open_session(plan: Plan, driver: Driver, cache: Path | None) -> CudaSession:
    """Raises JobspecError: E0510 where the plan is for another level, E0511 where memory does not suffice."""
    level = level_of(plan.target)
    if level != driver.level:
        raise JobspecError(
            "E0510",
            f"the plan is made for GPUs of level sm_{level}, and this one ({driver.name}) is sm_{driver.level}",
            help="compile the job on this machine: the same job gives the same bits",
        )
    return CudaSession(plan, driver, cache)


class CudaSession:
    """A loaded plan; routines are compiled when they are first run. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, driver: Driver, cache: Path | None) -> None:
        self._plan, self._driver = plan, driver
        self._rendered = {routine.name: render_routine(routine, "cuda") for routine in plan.routines}
        sizes = memory_of(plan, self._rendered.values())
        need(driver, sum(sizes))
        self._blocks = tuple(driver.allocate(size) for size in sizes)
        self._arena = self._blocks[0]
        self._builder = Builder(driver.level, cache, driver.machine_code)
        self._loaded: dict[str, Loaded] = {}
        self._slots = dict(plan.routines[0].slots)
        self._last = ""

    def write(self, slot: str, value: Array) -> None:
        buffer = self._slot(slot)
        assert value.dtype == NUMPY[buffer.type.dtype] and value.shape == buffer.type.shape
        if value.size:
            self._driver.put(self._arena + buffer.offset, np.ascontiguousarray(value))

    def read(self, slot: str) -> Array:
        buffer = self._slot(slot)
        found = np.empty(buffer.type.shape, NUMPY[buffer.type.dtype])
        if found.size:
            self._driver.take(self._arena + buffer.offset, found)
        return found

    def peek(self, slot: str) -> Array:
        return self.read(slot)

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        loaded = self._load(routine)
        if self._last != routine:
            self._write_constants(loaded.routine)
            self._last = routine
        reports = np.zeros((len(feeds), len(loaded.routine.reports)), np.float32)
        for number in self._steps(loaded, first, feeds):
            reports[number] = loaded.reports()
            flags = loaded.flags()
            if flags:
                self._clear_flags(loaded.routine)
                return Outcome(reports[: number + 1], number + 1, flags)
        return Outcome(reports, len(feeds), ())

    def close(self) -> None:
        self._driver.finish()
        for address in self._blocks:
            self._driver.free(address)
        self._driver.close()

    def _load(self, name: str) -> Loaded:
        if name not in self._loaded:
            arena, even, odd, scratch = self._blocks
            spaces = [(arena, feed, scratch) for feed in (even, odd)]
            self._loaded[name] = Loaded.of(self._rendered[name], self._driver, self._builder, spaces)
        return self._loaded[name]

    def _steps(self, loaded: Loaded, first: int, feeds: NDArray[np.uint8]) -> Iterator[int]:
        """Every step as it is done; the batch of the one behind is on its way by then."""
        if len(feeds):
            self._upload(loaded, 0, feeds[0])
        for number in range(len(feeds)):
            loaded.number[:] = np.array(first + number, np.int32).reshape(1).view(np.uint8)
            self._driver.start(loaded.graphs[number % 2])
            if number + 1 < len(feeds):
                self._upload(loaded, number + 1, feeds[number + 1])
            self._driver.finish()
            yield number

    def _upload(self, loaded: Loaded, number: int, row: Bytes) -> None:
        if row.size:
            staged = loaded.staged[number % 2]
            staged[:] = row
            self._driver.upload(self._blocks[1 + number % 2], staged)

    def _write_constants(self, routine: Routine) -> None:
        for number, data in routine.constants:
            self._driver.put(self._arena + routine.buffers[number].offset, np.frombuffer(data, np.uint8))
        self._clear_flags(routine)

    def _clear_flags(self, routine: Routine) -> None:
        if routine.flags:
            place = self._arena + routine.buffers[routine.flag_buffer].offset
            self._driver.put(place, np.zeros(len(routine.flags), np.int32))

    def _slot(self, name: str) -> Buffer:
        return self._plan.routines[0].buffers[self._slots[name]]


@dataclass(frozen=True)
class Loaded:
    """A routine on the device. `graphs`, `staged`: for even and odd steps; `number`: the step's, as the device fetches
    it; `seen`: reports, then flag words, as the device leaves them."""

    routine: Routine
    graphs: tuple[Any, Any]
    staged: tuple[Bytes, Bytes]
    number: Bytes
    seen: Bytes

    @classmethod
    def of(cls, rendered: Rendered, driver: Driver, builder: Builder, spaces: list[tuple[int, int, int]]) -> Loaded:
        routine = rendered.routine
        module = driver.load(builder.compiled(rendered.text))
        number, seen = driver.pinned(4), driver.pinned(4 * (len(routine.reports) + len(routine.flags)))
        even, odd = (driver.capture(module, work_of(rendered, of, number, seen)) for of in spaces)
        staged = (driver.pinned(routine.feed), driver.pinned(routine.feed))
        return cls(routine, (even, odd), staged, number, seen)

    def reports(self) -> NDArray[np.float32]:
        return self.seen[: 4 * len(self.routine.reports)].view(np.float32)

    def flags(self) -> tuple[str, ...]:
        words = self.seen[4 * len(self.routine.reports) :].view(np.int32)
        return tuple(flag for flag, word in zip(self.routine.flags, words, strict=True) if word)


def work_of(rendered: Rendered, spaces: tuple[int, int, int], number: Bytes, seen: Bytes) -> Work:
    """A step: its number in, every launch in the plan's order, reports and flags out."""
    routine, one = rendered.routine, np.float32(1)
    work: list[Kernel | CopyIn | CopyOut] = []
    if routine.step >= 0:
        work.append(CopyIn(spaces[0] + routine.buffers[routine.step].offset, number))
    for launch, turns in rendered.order():
        args = (*spaces, one, *(np.int32(turn) for turn in turns))
        work.append(Kernel(launch.symbol, launch.groups, launch.items, args))
    places = [routine.buffers[buffer].offset for _, buffer in routine.reports]
    for i, place in enumerate(places):
        work.append(CopyOut(seen[4 * i : 4 * i + 4], spaces[0] + place))
    if routine.flags:
        flags = spaces[0] + routine.buffers[routine.flag_buffer].offset
        work.append(CopyOut(seen[4 * len(places) :], flags))
    return work


def memory_of(plan: Plan, rendered: Iterable[Rendered]) -> tuple[int, int, int, int]:
    """Bytes of the arena, of two feeds, of what kernels use beside."""
    feed = max([LINE, *(routine.feed for routine in plan.routines)])
    arena = max([LINE, *(routine.arena for routine in plan.routines)])
    return arena, feed, feed, max([LINE, *(r.scratch for r in rendered)])


def need(driver: Driver, size: int) -> None:
    """Raises E0511 before anything is begun that the device cannot hold."""
    if size > driver.memory:
        raise JobspecError(
            "E0511",
            f"the job takes {size / 2**30:.2f} GiB of the GPU's memory, and {driver.name} has "
            f"{driver.memory / 2**30:.2f} GiB",
            help="`jobspec plan` says what takes it, and what would fit",
        )
