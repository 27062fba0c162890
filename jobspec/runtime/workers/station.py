"""A worker in a process of its own, as a cluster runs it.

Takes: how to compute, how values are got there. Promises: nothing of any cluster in here; every answer is plain data,
and whatever goes wrong inside an order is an answer too, so that only the death of the process is silent.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from jobspec.backends.kept import sources
from jobspec.backends.registry import backend
from jobspec.ir.classes import claim
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.runtime.workers.crew import Order, Parcel
from jobspec.runtime.workers.worker import Missing, Setup, Worker

#: whoever has other sources may mean something else by a program
DECIDING = ("ir/**/*.py", "passes/**/*.py", "backends/**/*.py", "runtime/workers/*.py")


@dataclass(frozen=True)
class Ready:
    """A worker's first word. `sources`: of its program; `claim`: what a receipt of its own would say of how it
    computes; `own`: it takes none of the plan's schedules, though there are some; `wrong`: why it cannot work."""

    about: str = ""
    sources: Digest | None = None
    claim: str = ""
    own: bool = False
    wrong: str | None = None


@dataclass(frozen=True)
class Answer:
    """The head of an answer; the parts come beside it. Of `missing` and `refused` at most one is set."""

    digests: tuple[Digest, ...] = ()
    sizes: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    moved: int = 0
    missing: tuple[Digest, ...] = ()
    refused: str | None = None


class Station:
    """`get`: a parcel's bytes there."""

    def __init__(self, setup: Setup, get: Callable[[Parcel], NDArray[Any]]) -> None:
        self._setup, self._worker = setup, Worker(setup, get)

    def ready(self) -> Ready:
        try:
            target = backend(self._setup.backend).target
        except JobspecError as error:
            return Ready(wrong=error.reason)
        where = f"{self._setup.backend} on {socket.gethostname()}, process {os.getpid()}"
        about = f"{where} ({target.cpu})" if target.cpu else where
        own = self._setup.schedules.target not in (None, target)
        return Ready(about, own_sources(), claim(self._setup.profile, target), own)

    def work(self, order: Order) -> tuple[Answer, tuple[NDArray[Any], ...]]:
        """The answer, and its parts."""
        try:
            made = self._worker.work(order)
        except Missing as missing:
            return Answer(missing=missing.digests), ()
        except JobspecError as error:
            return Answer(refused=error.reason), ()
        except Exception as error:  # what is wrong inside must not look like the death of the process
            return Answer(refused=f"{type(error).__name__}: {error}"), ()
        return Answer(made.digests, tuple(x.nbytes for x in made.parts), made.flags, made.moved), made.parts


def own_sources() -> Digest:
    """Of all that decides what a program means, and how it is carried out."""
    return sources(*DECIDING)
