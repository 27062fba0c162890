"""A crew in this process, with a clock of its own and faults that are planted.

Takes: workers that compute with the reference backend, and what each does with the orders it gets. Promises: the face
of runtime/workers/crew.py in milliseconds; the same faults give the same course of events.

    ok          answers            late   answers after so long that it was given up
    die         is gone            leave  answers, then is gone with all its values
    hang        never answers      lie    answers another value, hashed as if it were right
    refuse      says it cannot     change answers rightly, but the bytes change on the way
    slip        answers rightly, but hashes the first value wrongly
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.contract import PROFILE
from jobspec.ir.digest import Digest
from jobspec.runtime.workers.crew import Done, Event, Gone, Joined, Left, Lost, Order, Parcel, Refused
from jobspec.runtime.workers.worker import Made, Missing, Setup, Worker
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]
#: seconds that an answer takes, and that a late one does
SOON, LATE = 1.0, 100.0
SETUP = Setup("reference", 1, PROFILE, Path("/nonexistent"))
#: what was computed once is not computed again: the reference is slow, and right
KNOWN: dict[tuple[Any, ...], Made] = {}


@dataclass
class Doing:
    """A worker. `faults`: one for each order that it gets; "ok" when there are no more."""

    worker: Worker
    faults: Iterator[str]
    left: bool = False
    mine: set[int] = field(default_factory=set)


class StandIns:
    """`faults`: by worker, one for each order that it gets; `joining`: (seconds, worker) of those that come later;
    `backends`: of those that do not compute as `setup` says."""

    def __init__(
        self,
        faults: dict[str, Sequence[str]],
        joining: Iterable[tuple[float, str]] = (),
        backends: Mapping[str, str] = {},
        setup: Setup = SETUP,
    ) -> None:
        self.time, self.values = 0.0, dict[int, Array]()
        self.backends, self.setup, self.fetched = backends, setup, 0
        self.faults, self.doing = faults, dict[str, Doing]()
        self.dismissed: list[str] = []
        self._events: list[tuple[float, int, Event]] = []
        self._number = count()
        later = {name: when for when, name in joining}
        for name in faults:
            self.at(later.get(name, 0.0), Joined(name))

    def at(self, when: float, event: Event) -> None:
        heapq.heappush(self._events, (when, next(self._number), event))

    def now(self) -> float:
        return self.time

    def poll(self, seconds: float) -> list[Event]:
        if not self._events or self._events[0][0] > self.time + seconds:
            self.time += seconds
            return []
        self.time, _, event = heapq.heappop(self._events)
        return [event] if self.is_heard(event) else []

    def is_heard(self, event: Event) -> bool:
        if isinstance(event, Joined):
            again = event.worker in self.doing
            faults = iter(() if again else self.faults[event.worker])
            setup = replace(self.setup, backend=self.backends.get(event.worker, self.setup.backend))
            self.doing[event.worker] = Doing(Worker(setup, self.fetch), faults)
        return event.worker not in self.dismissed or isinstance(event, Left)

    def send(self, worker: str, order: Order) -> None:
        doing = self.doing[worker]
        if not doing.left:  # who is gone does nothing, and the head may not know it yet
            getattr(self, next(doing.faults, "ok"))(worker, doing, order)

    def share(self, array: Array, digest: Digest) -> Parcel:
        return self.stored(array, digest)

    def stored(self, array: Array, digest: Digest) -> Parcel:
        number = next(self._number)
        self.values[number] = array
        return Parcel(digest, array.nbytes, number)

    def fetch(self, parcel: Parcel) -> Array:
        self.fetched += 1
        array = self.values.get(parcel.held)
        if array is None or array_digest(array) != parcel.digest:
            raise Gone
        return array

    def dismiss(self, worker: str, *, for_good: bool) -> None:
        self.dismissed.append(worker)

    def close(self) -> None:
        self._events.clear()

    # ---- what they do

    def ok(
        self,
        name: str,
        doing: Doing,
        order: Order,
        after: float = SOON,
        twist: Callable[[Array], Array] = np.copy,
        named: Callable[[Array], Digest] = array_digest,
    ) -> None:
        try:
            made = self.computed(doing.worker, order)
        except Missing as missing:
            self.at(self.time + after, Lost(name, order.attempt, missing.digests))
            return
        arrays = [twist(x) for x in made.parts]
        parcels = tuple(self.stored(x, named(x)) for x in arrays)
        doing.mine |= {p.held for p in parcels}
        self.at(self.time + after, Done(name, order.attempt, parcels, made.flags, made.moved))

    def computed(self, worker: Worker, order: Order) -> Made:
        taken = tuple((name, p.digest) for name, p in order.takes)
        key = (worker.setup, order.program.digest, order.step, taken, order.parts)
        if missing := tuple(p.digest for _, p in order.takes if not self.is_there(p)):
            raise Missing(missing)
        if key not in KNOWN:
            KNOWN[key] = worker.work(order)
        return KNOWN[key]

    def is_there(self, parcel: Parcel) -> bool:
        try:
            return self.fetch(parcel) is not None
        except Gone:
            return False

    def die(self, name: str, doing: Doing, order: Order) -> None:
        doing.left = True
        for number in doing.mine:
            self.values.pop(number, None)
        self.at(self.time + SOON, Left(name))
        self.at(self.time + 2 * LATE, Joined(name))

    def leave(self, name: str, doing: Doing, order: Order) -> None:
        self.ok(name, doing, order)
        self.die(name, doing, order)

    def hang(self, name: str, doing: Doing, order: Order) -> None: ...

    def late(self, name: str, doing: Doing, order: Order) -> None:
        self.ok(name, doing, order, LATE)

    def lie(self, name: str, doing: Doing, order: Order) -> None:
        self.ok(name, doing, order, twist=flipped)

    def slip(self, name: str, doing: Doing, order: Order) -> None:
        first = iter([True])
        self.ok(name, doing, order, named=lambda x: array_digest(flipped(x) if next(first, False) else x))

    def change(self, name: str, doing: Doing, order: Order) -> None:
        before = set(doing.mine)
        self.ok(name, doing, order)
        for number in doing.mine - before:
            self.values[number] = flipped(self.values[number])

    def refuse(self, name: str, doing: Doing, order: Order) -> None:
        self.at(self.time + SOON, Refused(name, order.attempt, "planted"))


def flipped(x: Array) -> Array:
    """One bit of the first element changed."""
    found = np.array(x, order="C")
    if found.size:
        found.reshape(-1).view(np.uint8)[0] ^= 1
    return found
