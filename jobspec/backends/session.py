"""What every backend gives the runtime: one plan loaded on one device, with the state inside it.

Takes: nothing of any backend. Promises: the protocol alone; the runtime sees no device but through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.plan import Routine, Schedule


@dataclass(frozen=True)
class Outcome:
    """`reports`: f32 (steps done, reports of the routine). `done`: whole steps done, the raising one included.
    `flags`: what stopped the run (Routine.flags entries), empty where nothing did."""

    reports: NDArray[np.float32]
    done: int
    flags: tuple[str, ...]


@dataclass(frozen=True)
class CallTime:
    """One call of kernel number `kernel`. `begun`: of a clock that only goes on; `seconds`: of processor time."""

    kernel: int
    begun: float
    seconds: float


class Stepper(Protocol):
    """A routine that runs kernel by kernel, with a batch in its feed."""

    @property
    def routine(self) -> Routine: ...

    def step(self, number: int) -> list[CallTime]:
        """Run step `number`; all its calls in their order."""

    def scheduled(self, schedules: Sequence[Schedule]) -> Stepper:
        """The same routine on the same memory, its kernels executed in other ways."""

    def close(self) -> None:
        """It is not used again."""


class Session(Protocol):
    """A loaded plan. Not safe for use from two threads at once."""

    def write(self, slot: str, value: NDArray[Any]) -> None:
        """Set a tensor of state; `value` has the slot's dtype and shape."""

    def read(self, slot: str) -> NDArray[Any]:
        """A copy of a tensor of state."""

    def peek(self, slot: str) -> NDArray[Any]:
        """A tensor of state to look at before the next `run`: its memory itself where the host can read that."""

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        """Run the routine once per row of `feeds` (steps, feed bytes), as steps first, first+1, …; stops after the
        first step that raises a flag."""

    def close(self) -> None:
        """Free the device; the session is not used again."""
