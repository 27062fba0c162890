"""A session on a GPU: state in one block of its memory, each routine one captured graph.

Takes: a plan made for the GPU's sm level, an open driver. Promises: the face of backends/session.py. All memory is
taken when the session opens. A step is one start of one graph: no Python between its kernels; the next step's
batch is uploaded meanwhile, into the other of two feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.routine import Rendered
from jobspec.backends.c.session import DeviceSession, Looked, Times
from jobspec.backends.c.source import RENDERER
from jobspec.backends.cuda.build import Builder
from jobspec.backends.cuda.driver import Bytes, CopyIn, CopyOut, Driver, Item, Kernel, Stamp, Work
from jobspec.backends.cuda.nvrtc import version
from jobspec.backends.cuda.target import architecture_of, level_of
from jobspec.backends.kept import Kept
from jobspec.backends.reference.numbers import Array
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.errors import JobspecError
from jobspec.ir.plan import Plan, Routine

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


class CudaSession(DeviceSession["Loaded"]):
    """A loaded plan. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, driver: Driver, cache: Path | None) -> None:
        super().__init__(plan, "cuda")
        self._driver = driver
        sizes = memory_of(plan, self.rendered.values())
        need(driver, sum(sizes))
        need_shared(driver, self.rendered.values())
        self._blocks = [driver.allocate(size) for size in sizes]
        self._arena = self._blocks[0]
        self._builder = Builder(
            architecture_of(plan.target), Kept(cache), driver.machine_code, plan.profile == FAST_PROFILE
        )

    def close(self) -> None:
        """Nothing of the driver's memory is held when it goes."""
        try:
            self._driver.finish()
            self._loaded = {}
            for address in self._blocks:
                self._driver.free(address)
        finally:
            self._driver.close()

    def put(self, place: int, value: Array) -> None:
        if value.size:
            self._driver.put(self._arena + place, value)

    def take(self, place: int, into: Array) -> None:
        if into.size:
            self._driver.take(self._arena + place, into)

    def feed(self, row: Array) -> None:
        if row.size:
            self._driver.put(self._blocks[1], np.ascontiguousarray(row))

    def load(self, rendered: Rendered) -> Loaded:
        arena, even, odd, scratch = self._blocks[:4]
        spaces = [(arena, feed, scratch) for feed in (even, odd)]
        return Loaded.of(rendered, self._driver, self._builder, spaces)

    def steps(self, loaded: Loaded, first: int, feeds: NDArray[np.uint8]) -> Iterator[Looked]:
        """The batch of the step behind is on its way when a step is done."""
        if len(feeds):
            self._upload(loaded, 0, feeds[0])
        for number in range(len(feeds)):
            loaded.number[:] = np.array(first + number, np.int32).reshape(1).view(np.uint8)
            self._driver.start(loaded.graphs[number % 2])
            if number + 1 < len(feeds):
                self._upload(loaded, number + 1, feeds[number + 1])
            self._driver.finish()
            yield loaded.reports(), loaded.flags()

    def timer(self, rendered: Rendered) -> Callable[[], Times]:
        arena, feed, _, scratch = self._blocks[:4]
        if rendered.scratch > memory_of(self.plan, self.rendered.values())[3]:
            self._blocks.append(scratch := self._driver.allocate(rendered.scratch))
        need_shared(self._driver, [rendered])
        module = self._driver.load(self._builder.compiled(rendered.text))
        graph = self._driver.capture(module, stamped(launches_of(rendered, (arena, feed, scratch))))

        def timed() -> Times:
            self._driver.start(graph)
            self._driver.finish()
            stamps = self._driver.stamps(graph)
            return [(begun, ended - begun) for begun, ended in pairwise(stamps)]

        return timed

    def _upload(self, loaded: Loaded, number: int, row: Bytes) -> None:
        if row.size:
            staged = loaded.staged[number % 2]
            staged[:] = row
            self._driver.upload(self._blocks[1 + number % 2], staged)


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
    routine, work = rendered.routine, list[Item]()
    if routine.step >= 0:
        work.append(CopyIn(spaces[0] + routine.buffers[routine.step].offset, number))
    work.extend(launches_of(rendered, spaces))
    places = [routine.buffers[buffer].offset for _, buffer in routine.reports]
    for i, place in enumerate(places):
        work.append(CopyOut(seen[4 * i : 4 * i + 4], spaces[0] + place))
    if routine.flags:
        flags = spaces[0] + routine.buffers[routine.flag_buffer].offset
        work.append(CopyOut(seen[4 * len(places) :], flags))
    return work


def launches_of(rendered: Rendered, spaces: tuple[int, int, int]) -> Iterator[Kernel]:
    """Every launch of a step in the plan's order."""
    for launch, turns in rendered.order():
        args = (*spaces, np.float32(1), *(np.int32(turn) for turn in turns))
        yield Kernel(launch.symbol, launch.groups, launch.items, args, launch.shared_bytes)


def stamped(launches: Iterable[Kernel]) -> Iterator[Item]:
    """Launches with the time taken before the first and behind each."""
    yield Stamp()
    for launch in launches:
        yield launch
        yield Stamp()


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


def need_shared(driver: Driver, rendered: Iterable[Rendered]) -> None:
    """Raises E0519 where a launch takes more of a group's memory than the device has for one: a plan knows the level
    of the device, not the device."""
    most = max((launch.shared_bytes for r in rendered for launches in r.kernels for launch in launches), default=0)
    if most > driver.shared:
        raise JobspecError(
            "E0519",
            f"a kernel of this plan takes {most / 1024:.0f} KB of memory for a group of work-items, "
            f"and {driver.name} has {driver.shared / 1024:.0f} KB for one",
            help="compile the job on this machine, or run the plan on a GPU of the kind that it was made on",
        )
