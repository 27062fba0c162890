"""Workers as actors of Ray.

Takes: which workers there are to be, a cluster (ray_cluster.py). Promises: the face of crew.py. A worker that dies is
started anew, machines that join get theirs, one that lied gets no other. Values live in Ray's object store: what a
worker gives stays on its machine until another takes it, and belongs to the head, so it outlives the worker's process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.runtime.workers.crew import Done, Event, Gone, Joined, Left, Lost, Order, Parcel, Refused
from jobspec.runtime.workers.ray_cluster import MOST, Pulse
from jobspec.runtime.workers.seats import Asked
from jobspec.runtime.workers.station import Answer, Ready, Station, own_sources
from jobspec.runtime.workers.trouble import nobody_came
from jobspec.runtime.workers.worker import Setup
from jobspec.store.checkpoint import array_digest

Array = NDArray[Any]
#: bytes up to which a value travels inside a message
SMALL = 1 << 16
#: seconds to wait for a value; between two looks at who is there; before a worker that died is started anew
TAKE, LOOK, PAUSE = 120.0, 2.0, 1.0
#: workers that may come to nothing in a seat, one after another
STARTS = 3
#: the last line of a traceback; what Ray's errors say in more words
RAISED = re.compile(r"\w+(Error|Exception): ")
DEATHS = {
    "ActorDiedError": "its process or its machine died",
    "ActorUnavailableError": "its machine does not answer",
}


@dataclass(eq=False)
class Seat:
    """A place for a worker. `node`: the machine it is bound to; `name`: of the worker who has it, with `actor`;
    `asked`: the first word that is waited for; `again`: not before that time; `starts`: that came to nothing, in a row;
    `number`: of workers who had it; `closed`: nobody comes any more; `wrong`: why."""

    title: str
    backend: str
    node: str | None = None
    name: str = ""
    actor: Any = None
    asked: Any = None
    again: float = 0.0
    starts: int = 0
    number: int = 0
    closed: bool = False
    wrong: str = "it answered wrongly"

    @property
    def empty(self) -> bool:
        return self.actor is None and not self.closed


@dataclass
class UnderWay:
    """An order that a worker is at. `parts`: where the answer's parts will be."""

    worker: str
    order: Order
    parts: Sequence[Any]
    begun: float = field(default_factory=time.monotonic)


class RayCrew:
    """`ray`: connected; `setup`: of a worker on a backend; `claim`: how each has to compute (ir/classes.py); `tell`:
    hears sentences for the user."""

    def __init__(
        self, ray: Any, asked: Asked, setup: Callable[[str], Setup], claim: str, tell: Callable[[str], None]
    ) -> None:
        self._ray, self._asked, self._setup, self._claim, self._tell = ray, asked, setup, claim, tell
        self._actor = ray.remote(actor_class())
        self._sources = own_sources()
        numbered = enumerate(asked.backends, 1)
        self._seats = [Seat(f"worker {i} ({name})", name) for i, name in numbered]
        self._at: dict[Any, UnderWay] = {}
        self._pulse = Pulse(ray.get_runtime_context().gcs_address)
        self._looked, self._met = 0.0, False
        self._alive: list[str] = []
        self._with_gpu: set[str] = set()
        self._tell_of_room()

    def now(self) -> float:
        return time.monotonic()

    def poll(self, seconds: float) -> list[Event]:
        self._look()
        waited = [*self._at, *(seat.asked for seat in self._seats if seat.asked is not None)]
        if not waited:
            time.sleep(min(seconds, LOOK))
            return []
        ready, _ = self._ray.wait(waited, num_returns=len(waited), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(waited, num_returns=1, timeout=seconds)
        return [event for ref in ready for event in self._heard(ref)]

    def send(self, worker: str, order: Order) -> None:
        seat = self._seat(worker)
        made = seat.actor.work.options(num_returns=1 + len(order.parts)).remote(order)
        answer, *parts = made if isinstance(made, list) else [made]
        self._at[answer] = UnderWay(worker, order, parts)

    def share(self, array: Array, digest: Digest) -> Parcel:
        return Parcel(digest, array.nbytes, array if array.nbytes <= SMALL else self._ray.put(array))

    def fetch(self, parcel: Parcel) -> Array:
        array = got(self._ray, parcel)
        if array_digest(array) != parcel.digest:
            raise Gone("a value came changed")
        return array

    def dismiss(self, worker: str, *, for_good: bool) -> None:
        seat = self._seat(worker)
        self._free(seat)
        seat.closed = for_good

    def close(self) -> None:
        if self._pulse.there:
            self._ray.shutdown()

    # ---- who is there

    def _tell_of_room(self) -> None:
        """Say at once for how many workers there is no room: machines may join."""
        there, backends = self._ray.cluster_resources(), self._asked.backends
        for kind, name, needed in (("CPU", "processors", len(backends)), ("GPU", "GPUs", backends.count("cuda"))):
            has = int(there.get(kind, 0))
            if has < needed:
                room = f"the cluster has {has} of the {needed} {name} that workers need"
                self._tell(f"{room}: who finds none is waited for")

    def _seat(self, worker: str) -> Seat:
        return next(seat for seat in self._seats if seat.name == worker)

    def _look(self) -> None:
        """Have somebody in every seat, and a seat on every machine where that is asked for."""
        now = time.monotonic()
        if now - self._looked < LOOK and self._looked:
            return
        self._looked = now
        self._pulse.take(now)
        if not self._pulse.there:  # whatever is asked of Ray now would not come back
            return
        if not self._asked.backends:
            self._seat_machines()
        for seat in self._seats:
            if seat.empty and now >= seat.again:
                self._start(seat)
        self._need_a_seat()

    def _need_a_seat(self) -> None:
        """Raises E0521 where nobody comes any more. Another machine may join; but where all that are there cannot work
        and none ever has, it is not waited for."""
        here = [seat for seat in self._seats if seat.node is None or seat.node in self._alive]
        if here and all(seat.closed for seat in here) and (self._asked.backends or not self._met):
            raise nobody_came(seat.wrong for seat in here)

    def _seat_machines(self) -> None:
        with_processors = (node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
        here = {node["NodeID"]: node["Resources"] for node in with_processors}
        self._alive, self._with_gpu = list(here), {name for name, has in here.items() if has.get("GPU")}
        seated = {seat.node for seat in self._seats}
        for seat in self._seats:
            seat.closed |= seat.actor is None and seat.node not in self._alive
        for node in self._alive:
            if node not in seated:
                self._seats.append(Seat(f"worker {len(self._seats) + 1}", self._asked.default, node))

    def _start(self, seat: Seat) -> None:
        seat.number += 1
        seat.name = seat.title if seat.number == 1 else f"{seat.title} {seat.number}"
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        # a machine without a GPU is to say so itself: Ray would wait for one
        if seat.backend == "cuda" and (seat.node is None or seat.node in self._with_gpu):
            options["num_gpus"] = 1
        if seat.node is not None:
            strategies = import_module("ray.util.scheduling_strategies")
            bound = strategies.NodeAffinitySchedulingStrategy(node_id=seat.node, soft=False)
            options |= {"num_cpus": 0, "scheduling_strategy": bound}
        seat.actor = self._actor.options(**options).remote(self._setup(seat.backend))
        seat.asked = seat.actor.ready.remote()

    def _free(self, seat: Seat) -> None:
        """Nobody has the seat any more."""
        if seat.actor is not None:
            self._ray.kill(seat.actor)
        self._at = {ref: under_way for ref, under_way in self._at.items() if under_way.worker != seat.name}
        seat.actor = seat.asked = None
        seat.again = time.monotonic() + PAUSE

    # ---- what is heard

    def _heard(self, ref: Any) -> list[Event]:
        for seat in self._seats:
            if seat.asked == ref:
                return self._came(seat)
        under_way = self._at.pop(ref)
        seat = self._seat(under_way.worker)
        try:
            answer: Answer = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._free(seat)
            return [Left(under_way.worker, words_of(error))]
        return [self._answered(under_way, answer)]

    def _answered(self, at: UnderWay, answer: Answer) -> Event:
        number = at.order.attempt
        if answer.refused is not None:
            return Refused(at.worker, number, answer.refused)
        if answer.missing:
            return Lost(at.worker, number, answer.missing)
        parcels = tuple(map(self._parcel, at.parts, answer.digests, answer.sizes))
        return Done(at.worker, number, parcels, answer.flags, answer.moved)

    def _parcel(self, ref: Any, digest: Digest, size: int) -> Parcel:
        """Small parts came with the answer, and travel on inside messages."""
        return Parcel(digest, size, np.asarray(self._ray.get(ref)) if size <= SMALL else ref)

    def _came(self, seat: Seat) -> list[Event]:
        """A worker's first word."""
        try:
            word: Ready = self._ray.get(seat.asked)
        except self._ray.exceptions.RayError as error:
            word = Ready(wrong=words_of(error))
        seat.asked = None
        wrong = word.wrong
        if wrong is None and word.sources != self._sources:
            wrong = "it has another version of jobspec"
        if wrong is None and word.claim != self._claim:
            wrong = f"it computes as {word.claim}, the run as {self._claim}"
        if wrong is None:
            seat.starts = 0
            self._met = True
            if word.own:
                self._tell(f"{seat.name} takes none of the plan's schedules, which are for devices of another kind")
            return [Joined(seat.name, word.about)]
        self._free(seat)
        seat.starts += 1
        seat.closed, seat.wrong = seat.starts >= STARTS, wrong
        self._tell(f"{seat.name} cannot work: {wrong}")
        return []


def words_of(error: Exception) -> str:
    """What Ray says, which can be pages: the exception at its end, if there is one, else a few words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if RAISED.match(line)]
    if raised:
        return raised[-1][:MOST]
    kind = type(error).__name__
    return DEATHS.get(kind) or (lines[0][:MOST] if lines else kind)


def got(ray: Any, parcel: Parcel) -> Array:
    """A parcel's value, unverified. Raises Gone."""
    if isinstance(parcel.held, np.ndarray):
        return parcel.held
    try:
        return np.asarray(ray.get(parcel.held, timeout=TAKE))
    except ray.exceptions.RayError as error:
        raise Gone(words_of(error)) from error


def actor_class() -> type:
    """What runs in a worker's process."""

    class Actor:
        def __init__(self, setup: Setup) -> None:
            self.station = Station(setup, lambda parcel: got(import_module("ray"), parcel))

        def ready(self) -> Ready:
            return self.station.ready()

        def work(self, order: Order) -> Any:
            answer, parts = self.station.work(order)
            found = (answer, *parts, *(None for _ in range(len(order.parts) - len(parts))))
            return found if len(found) > 1 else answer

    return Actor
