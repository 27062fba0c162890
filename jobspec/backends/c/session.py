"""A session on a device that runs rendered C: what is the same on all of them.

Takes: a plan, a dialect; of the device, how it copies, loads and runs. Promises: the face of backends/session.py;
slots, constants and flags are where the plan says; the host looks at reports and flags once a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.reference.numbers import NUMPY, Array
from jobspec.backends.session import Outcome
from jobspec.ir.plan import Buffer, Plan, Routine

#: a routine as a device has loaded it
L = TypeVar("L")
#: reports of a step, and the flags that it raised
Looked = tuple[Array | Sequence[Any], tuple[str, ...]]
#: (seconds since the first began, seconds taken) of every launch of a step, in their order
Times = list[tuple[float, float]]


class DeviceSession(ABC, Generic[L]):
    """A loaded plan; routines are compiled when they are first run. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, dialect: str) -> None:
        self.plan, self.dialect = plan, dialect
        self.rendered = {routine.name: render_routine(routine, dialect) for routine in plan.routines}
        self._slots = dict(plan.routines[0].slots)
        self._loaded: dict[str, L] = {}
        self._last = ""

    def write(self, slot: str, value: Array) -> None:
        buffer = self._slot(slot)
        assert value.dtype == NUMPY[buffer.type.dtype] and value.shape == buffer.type.shape
        with self.told():
            self.put(buffer.offset, np.ascontiguousarray(value))

    def read(self, slot: str) -> Array:
        buffer = self._slot(slot)
        found: Array = np.empty(buffer.type.shape, NUMPY[buffer.type.dtype])
        with self.told():
            self.take(buffer.offset, found)
        return found

    def peek(self, slot: str) -> Array:
        return self.read(slot)

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        with self.told():
            return self._run(routine, first, feeds)

    def _run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        if routine not in self._loaded:
            self._loaded[routine] = self.load(self.rendered[routine])
        chosen = self.plan.routine(routine)
        if self._last != routine:
            self.begin(chosen)
            self._last = routine
        reports = np.zeros((len(feeds), len(chosen.reports)), np.float32)
        for number, (seen, flags) in enumerate(self.steps(self._loaded[routine], first, feeds)):
            reports[number] = seen
            if flags:
                self._clear_flags(chosen)
                return Outcome(reports[: number + 1], number + 1, flags)
        return Outcome(reports, len(feeds), ())

    def begin(self, routine: Routine) -> None:
        """Constants in their places, which another routine may have overwritten, and all flags down."""
        for number, data in routine.constants:
            self.put(routine.buffers[number].offset, np.frombuffer(data, np.uint8))
        self._clear_flags(routine)

    def _clear_flags(self, routine: Routine) -> None:
        buffer = routine.buffers[routine.flag_buffer]
        self.put(buffer.offset, np.zeros(buffer.type.shape, np.int32))

    def _slot(self, name: str) -> Buffer:
        return self.plan.routines[0].buffers[self._slots[name]]

    # ---- what the device does

    def told(self) -> AbstractContextManager[None]:
        """Within it, what a driver raises by itself becomes DeviceError."""
        return nullcontext()

    @abstractmethod
    def put(self, place: int, value: Array) -> None:
        """From byte `place` of the arena on; copied when this returns. Nothing happens where `value` is empty."""

    @abstractmethod
    def take(self, place: int, into: Array) -> None:
        """What all that was started leaves from byte `place` of the arena on."""

    @abstractmethod
    def feed(self, row: Array) -> None:
        """A batch into the feed that `timer` reads; copied when this returns."""

    @abstractmethod
    def load(self, rendered: Rendered) -> L:
        """The routine compiled, on the device."""

    @abstractmethod
    def steps(self, loaded: L, first: int, feeds: NDArray[np.uint8]) -> Iterator[Looked]:
        """Run a step per row of `feeds`, from step `first` on; what is seen of each when it is done."""

    @abstractmethod
    def timer(self, rendered: Rendered) -> Callable[[], Times]:
        """A step of a routine, run and timed by the device's own clock at every call."""

    @abstractmethod
    def close(self) -> None:
        """Free the device."""
