"""What a session asks of a GPU's driver: a face of twelve functions.

Promises: nothing of any library; one implementation speaks to pycuda (pycuda_driver.py), and another may stand in for
it. Work that is started runs in the order in which it was started, uploads beside it on a way of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.cuda.nvrtc import Compiled

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Kernel:
    """A launch with all it needs. `args`: addresses as int, then an np.float32, then np.int32; `shared`: bytes of the
    piece of memory that each group shares."""

    symbol: str
    groups: int
    items: int
    args: tuple[Any, ...]
    shared: int = 0


@dataclass(frozen=True)
class CopyIn:
    """From pinned memory of the host to the device, within the work."""

    address: int
    source: Bytes


@dataclass(frozen=True)
class CopyOut:
    """From the device to pinned memory of the host, within the work."""

    target: Bytes
    address: int


@dataclass(frozen=True)
class Stamp:
    """The device's time, when all before it in the work is done."""


Item = Kernel | CopyIn | CopyOut | Stamp
Work = Iterable[Item]


class Driver(Protocol):
    """One device, opened. Not safe for use from two threads at once. `name`: with its driver's version; `level`: 90 for
    sm_90; `memory`: bytes; `shared`: those that a group may share; `machine_code`: it loads that, not PTX; `speaks`:
    13000 for CUDA 13.0."""

    name: str
    level: int
    memory: int
    shared: int
    machine_code: bool
    speaks: int

    def allocate(self, size: int) -> int:
        """The address of `size` bytes, all zero, a multiple of 256. Raises JobspecError (E0511)."""

    def free(self, address: int) -> None:
        """Nothing that was started uses it any more."""

    def pinned(self, size: int) -> Bytes:
        """Memory of the host that the device reads and writes by itself; it lives as long as the driver."""

    def put(self, address: int, data: NDArray[Any]) -> None:
        """Copied when this returns."""

    def take(self, address: int, into: NDArray[Any]) -> None:
        """What all started work leaves there."""

    def load(self, compiled: Compiled) -> Any:
        """A module on the device."""

    def capture(self, module: Any, work: Work) -> Any:
        """The work as one thing that is started at once; nothing runs yet."""

    def upload(self, address: int, source: Bytes) -> None:
        """Copy pinned memory beside the work that runs; what is started later waits for it."""

    def stamps(self, captured: Any) -> list[float]:
        """Seconds from the first stamp to each, of finished work."""

    def start(self, captured: Any) -> None:
        """Run it, after all that was started and uploaded before."""

    def finish(self) -> None:
        """Wait for all that was started."""

    def close(self) -> None:
        """Free the device."""
