"""What a worker does: it holds programs loaded on its backend, and what was written into them.

Takes: orders, a way to get the values they name. Promises: every value is hashed before it is used, whoever sent it;
a program is compiled once; a value that already lies where a program reads it is neither asked for nor written again,
so parameters are taken once a step. It keeps nothing of a run but that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.session import Session
from jobspec.ir.digest import Digest
from jobspec.ir.text_parser import parse_program
from jobspec.passes.split.graph import Cut
from jobspec.passes.split.task_job import MADE, task_job
from jobspec.runtime.engine import compile_for
from jobspec.runtime.tuning import Carried
from jobspec.runtime.workers.crew import Gone, Order, Parcel
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]
#: programs that stay loaded
MOST = 128
#: a task has no batch of its own
NO_FEED = np.zeros((1, 0), np.uint8)


class Missing(Exception):
    """Values that could not be got, or came changed."""

    def __init__(self, digests: tuple[Digest, ...]) -> None:
        super().__init__(", ".join(d.short for d in digests))
        self.digests = digests


@dataclass(frozen=True)
class Setup:
    """How a worker computes: `backend`, `threads`; `profile`: of the job; `cache`: folder for compiled code;
    `schedules`: of the job's plan, for those of its kernels that tasks have too."""

    backend: str
    threads: int
    profile: str
    cache: Path
    schedules: Carried = field(default_factory=Carried)


@dataclass
class Loaded:
    """A program on the device, and what lies in its inputs."""

    session: Session
    inputs: dict[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What came of an order: its parts and their digests, what was raised, the bytes that were taken."""

    parts: tuple[Array, ...]
    digests: tuple[Digest, ...]
    flags: tuple[str, ...]
    moved: int


class Worker:
    """`get`: a parcel's bytes; it raises Gone where they are nowhere."""

    def __init__(self, setup: Setup, get: Callable[[Parcel], Array]) -> None:
        self.setup, self._get = setup, get
        self._loaded: OrderedDict[Digest, Loaded] = OrderedDict()
        self._moved = 0

    def work(self, order: Order) -> Made:
        """Carry an order out. Raises Missing, and JobspecError where the backend cannot."""
        self._moved = 0
        loaded = self._load(order.program)
        self._fill(loaded, order)
        outcome = loaded.session.run("step", order.step, NO_FEED)
        parts = tuple(part(loaded.session.peek(MADE + output), cut) for output, cut in order.parts)
        return Made(parts, tuple(map(array_digest, parts)), outcome.flags, self._moved)

    def said(self, order: Order) -> tuple[tuple[Digest, ...], tuple[str, ...]]:
        """What a right answer to an order says; nothing stays loaded. Raises crew.Gone."""
        try:
            made = self.work(order)
        except Missing as missing:
            raise Gone(str(missing)) from missing
        finally:
            self.close()
        return made.digests, made.flags

    def close(self) -> None:
        for loaded in self._loaded.values():
            loaded.session.close()
        self._loaded.clear()

    def _load(self, program: Parcel) -> Loaded:
        if program.digest not in self._loaded:
            text = self._verified([program])[0].tobytes().decode()
            while len(self._loaded) >= MOST:
                self._loaded.popitem(last=False)[1].session.close()
            self._loaded[program.digest] = Loaded(self._open(text))
        self._loaded.move_to_end(program.digest)
        return self._loaded[program.digest]

    def _open(self, text: str) -> Session:
        setup = self.setup
        job = task_job(parse_program(text), setup.profile)
        known = setup.schedules if setup.schedules.target else None
        return compile_for(job, setup.backend, known, setup.cache).open(setup.threads, setup.cache)

    def _fill(self, loaded: Loaded, order: Order) -> None:
        """Write what does not lie in the program's inputs yet."""
        fresh = [(name, parcel) for name, parcel in order.takes if loaded.inputs.get(name) != parcel.digest]
        arrays = self._verified([parcel for _, parcel in fresh])
        for (name, parcel), array in zip(fresh, arrays, strict=True):
            loaded.inputs.pop(name, None)
            loaded.session.write(name, array)
            loaded.inputs[name] = parcel.digest

    def _verified(self, parcels: list[Parcel]) -> list[Array]:
        """The values. Raises Missing, naming all that are not to be had."""
        found = [self._taken(parcel) for parcel in parcels]
        missing = tuple(p.digest for p, array in zip(parcels, found, strict=True) if array is None)
        if missing:
            raise Missing(missing)
        return [array for array in found if array is not None]

    def _taken(self, parcel: Parcel) -> Array | None:
        try:
            array = self._get(parcel)
        except Gone:
            return None
        self._moved += array.nbytes
        return array if array_digest(array) == parcel.digest else None


def part(x: Array, cut: Cut | None) -> Array:
    """A copy of a part of a value; of all of it for None."""
    if cut is None:
        return x.copy()
    where = (*(slice(None) for _ in range(cut.axis)), slice(cut.first, cut.last))
    return np.array(x[where], order="C")
