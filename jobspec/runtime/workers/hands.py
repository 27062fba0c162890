"""The workers as the scheduler sees them: who is idle, who is late, how long things take.

Takes: what is heard of them. Promises: a limit for every attempt, learnt from how long such tasks took, and much longer
where a program is new to a worker, which has to compile it; who holds most of what a task takes is asked first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jobspec.ir.digest import Digest
from jobspec.runtime.workers.crew import Order


@dataclass(frozen=True)
class Patience:
    """Seconds. `least`: before any answer is late; `first`: for a program that is new to a worker; `times`: an answer
    may take so many times the longest so far; `empty`: without any worker before the run gives up; `start`: until the
    first one is there; `quiet`: of that before it is told."""

    least: float = 20.0
    first: float = 600.0
    times: float = 10.0
    empty: float = 60.0
    start: float = 300.0
    quiet: float = 15.0


@dataclass
class Hand:
    """A worker. `attempt`: what it is at, None when idle; `begun`: when that was; `due`: when it is late; `since`: step
    of its first answer that went into the state and was not computed a second time; `knows`: programs that it has run;
    `holds`: values it has had."""

    name: str
    about: str = ""
    attempt: int | None = None
    begun: float = 0.0
    due: float = 0.0
    since: int | None = None
    knows: set[Digest] = field(default_factory=set)
    holds: set[Digest] = field(default_factory=set)
    held_before: set[Digest] = field(default_factory=set)

    @property
    def idle(self) -> bool:
        return self.attempt is None

    def start(self, attempt: int, now: float, seconds: float) -> None:
        self.attempt, self.begun, self.due = attempt, now, now + seconds

    def grace(self, now: float) -> float:
        """As long again for an attempt that was given up; the seconds that it has taken."""
        taken = now - self.begun
        self.due = now + taken
        return taken

    def has(self, order: Order) -> int:
        """Bytes of what `order` takes that this worker has had."""
        return sum(p.nbytes for _, p in order.takes if p.digest in self.holds or p.digest in self.held_before)

    def age(self) -> None:
        """A round later: what was not seen since the one before is forgotten."""
        self.holds, self.held_before = set(), self.holds


@dataclass
class Hands:
    """All workers by name. `longest`: program → seconds that it took at most."""

    patience: Patience
    names: dict[str, Hand] = field(default_factory=dict)
    longest: dict[Digest, float] = field(default_factory=dict)

    def idle(self) -> list[Hand]:
        return [hand for hand in self.names.values() if hand.idle]

    def limit(self, hand: Hand, order: Order) -> float:
        """Seconds that the worker has for the order."""
        program = order.program.digest
        if program not in hand.knows or program not in self.longest:
            return self.patience.first
        return max(self.patience.least, self.patience.times * self.longest[program])

    def took(self, hand: Hand, order: Order, seconds: float) -> None:
        """Learn from an answer; the first time counts for nothing, since it holds the compiler's."""
        program = order.program.digest
        if program in hand.knows:
            self.longest[program] = max(seconds, self.longest.get(program, 0.0))
        hand.knows.add(program)

    def best(self, order: Order, place: int | None, barred: Iterable[str]) -> Hand | None:
        """The idle worker for an order: that of its place, else who has most of what it takes; None where all are busy
        or barred."""
        free = [hand for hand in self.idle() if hand.name not in set(barred)]
        if not free:
            return None
        home = list(self.names.values())[place % len(self.names)] if place is not None else None
        return home if home in free else max(free, key=lambda hand: hand.has(order))
