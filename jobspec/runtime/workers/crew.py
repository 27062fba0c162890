"""What the scheduler knows of workers: what it sends, what it hears, the face of whoever brings both about.

Takes: nothing of any cluster. Promises: plain values and one protocol. Ray stands behind it (ray_crew.py), and in tests
workers whose faults are planted; the scheduler cannot tell which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.passes.split.graph import Cut

Array = NDArray[Any]


@dataclass(frozen=True)
class Parcel:
    """A value, or a part of one, somewhere. `digest`: of its bytes; `held`: by what the crew finds it."""

    digest: Digest
    nbytes: int
    held: Any


@dataclass(frozen=True)
class Order:
    """One attempt at a task. `program`: its text; `takes`: (input, what it is); `gives`: (output, the parts of it that
    are asked for, None for all of it)."""

    attempt: int
    program: Parcel
    step: int
    takes: tuple[tuple[str, Parcel], ...]
    gives: tuple[tuple[str, tuple[Cut | None, ...]], ...]

    @property
    def parts(self) -> tuple[tuple[str, Cut | None], ...]:
        """The parts asked for, in the order of the answer's parcels."""
        return tuple((output, cut) for output, cuts in self.gives for cut in cuts)


@dataclass(frozen=True)
class Joined:
    """A worker is there and idle. `about`: backend and machine, for people."""

    worker: str
    about: str = ""


@dataclass(frozen=True)
class Left:
    """A worker is gone, with whatever it was doing."""

    worker: str
    why: str = "it died"


@dataclass(frozen=True)
class Done:
    """An attempt's answer: `parcels` as `Order.parts`; `flags`: what its program raised; `moved`: bytes that the worker
    took for it; `seconds`: that it worked."""

    worker: str
    attempt: int
    parcels: tuple[Parcel, ...]
    flags: tuple[str, ...] = ()
    moved: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Lost:
    """An attempt that could not begin: these values are nowhere any more, or are not what they should be."""

    worker: str
    attempt: int
    digests: tuple[Digest, ...]


@dataclass(frozen=True)
class Refused:
    """An attempt that the worker could not carry out."""

    worker: str
    attempt: int
    reason: str


Event = Joined | Left | Done | Lost | Refused


class Gone(Exception):
    """A value that is nowhere any more, or is not what it should be."""


class Crew(Protocol):
    """Workers, and the values that travel between them. It is never told twice of one attempt."""

    def now(self) -> float:
        """Seconds of a clock that only goes on."""

    def poll(self, seconds: float) -> Sequence[Event]:
        """What has happened since; waits at most so long for something to happen."""

    def send(self, worker: str, order: Order) -> None:
        """Have an idle worker begin. Its answer comes by `poll`."""

    def share(self, array: Array, digest: Digest) -> Parcel:
        """A value of the head's, for workers to take."""

    def fetch(self, parcel: Parcel) -> Array:
        """The value itself, verified. Raises Gone."""

    def dismiss(self, worker: str, *, for_good: bool) -> None:
        """End a worker; `for_good`: nobody comes in its place."""

    def close(self) -> None:
        """End all workers."""
