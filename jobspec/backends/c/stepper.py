"""A routine on a device run kernel by kernel, so that each kernel can be timed where it stands.

Takes: a session, a routine of its plan, a batch. Promises: `step` runs the launches of a session's step on its memory
in the same order and gives the seconds of each kernel by the device's own clock; other schedules share the memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.c.session import DeviceSession, Times
from jobspec.backends.session import CallTime
from jobspec.ir.plan import Routine, Schedule


@dataclass(frozen=True)
class DeviceStepper:
    """`own`: the session is closed with it."""

    session: DeviceSession[Any]
    routine: Routine
    own: bool = False

    @cached_property
    def _rendered(self) -> Rendered:
        return render_routine(self.routine, self.session.dialect)

    @cached_property
    def _timed(self) -> Any:
        return self.session.timer(self._rendered)

    def step(self, number: int) -> list[CallTime]:
        """Run step `number` on what the feed holds; all its calls in their order."""
        if self.routine.step >= 0:
            self.session.put(self.routine.buffers[self.routine.step].offset, np.array([number], np.int32))
        begun, times = time.perf_counter(), iter(self._timed())
        kernels = self._rendered.kernels
        return [joined(k, begun, list(islice(times, len(kernels[k])))) for k, _ in self._rendered.calls()]

    def scheduled(self, schedules: Sequence[Schedule]) -> DeviceStepper:
        """The same routine on the same memory, its kernels executed in other ways."""
        return DeviceStepper(self.session, replace(self.routine, schedules=tuple(schedules)))

    def close(self) -> None:
        """The memory stays for others, unless this is the one that began."""
        if self.own:
            self.session.close()


def joined(kernel: int, begun: float, launches: Times) -> CallTime:
    """The launches of one call."""
    return CallTime(kernel, begun + launches[0][0], sum(seconds for _, seconds in launches))


def begun(session: DeviceSession[Any], routine: str, feed: NDArray[np.uint8]) -> DeviceStepper:
    """`routine` behind `init`, with one batch in its feed."""
    session.run("init", 0, np.zeros((1, 0), np.uint8))
    chosen = session.plan.routine(routine)
    session.begin(chosen)
    session.feed(feed)
    return DeviceStepper(session, chosen, own=True)
