"""A training step as stages of a pipeline run it, event by event.

Takes: for each stage its chunks of layers, forth and back in seconds; how many micro-batches; what a hop takes.
Promises: when all is done under the interleaved schedule of Narayanan et al. 2021 (arXiv 2104.04473; with one chunk a
stage the plain 1F1B, with one stage plain accumulation). A chunk's weights are gathered before its first use and its
gradients added up over the data-parallel devices after its last, beside the computation, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: micro-batches that are simulated, in rounds of as many as there are stages; more of them add what the last round did
ROUNDS = 6
FORTH, BACK = 0, 1
Task = tuple[int, int, int]


@dataclass(frozen=True)
class Chunk:
    """Seconds of one micro-batch through it, forth and back; to gather its weights and add up its gradients. `layers`:
    how many it has."""

    forth: float
    back: float
    gather: float = 0.0
    reduce: float = 0.0
    layers: int = 0


@dataclass(frozen=True)
class Timeline:
    """`seconds` until all is done; `busy`: computation of the busiest stage; `held`: layers of micro-batches whose way
    back is to come, at most, on any one stage."""

    seconds: float
    busy: float
    held: int


def timeline(stages: Sequence[Sequence[Chunk]], micro: int, hop: float) -> Timeline:
    """`stages[p][v]`: chunk v of stage p; a micro-batch goes through all stages for each v."""
    most = ROUNDS * len(stages)
    busy = micro * max(sum(c.forth + c.back for c in stage) for stage in stages)
    if micro <= most:
        seconds, held = run(stages, micro, hop)
        return Timeline(seconds, busy, held)
    rest = micro - most + (-(micro - most)) % len(stages)
    (shorter, _), (seconds, held) = (run(stages, count, hop) for count in (most - len(stages), most))
    return Timeline(seconds + (seconds - shorter) * rest / len(stages), busy, held)


def run(stages: Sequence[Sequence[Chunk]], micro: int, hop: float) -> tuple[float, int]:
    """Seconds, and what is held."""
    count, chunks = len(stages), len(stages[0])
    orders = [order(p, count, chunks, micro) for p in range(count)]
    step = Step(stages, micro, hop, orders)
    if not step.run():
        step = Step(stages, micro, hop, [all_forth(count, chunks, micro) for _ in range(count)])
        assert step.run(), "each task waits for another"
    return step.end(), step.held


def order(stage: int, stages: int, chunks: int, micro: int) -> list[Task]:
    """Forth until the first result comes back, then one forth and one back in turn, then back."""
    forth, back = list(turns(FORTH, stages, chunks, micro)), list(turns(BACK, stages, chunks, micro))
    group = rounds(stages, micro)[0]
    warm = stages - stage - 1 if chunks == 1 else 2 * (stages - stage - 1) + (chunks - 1) * group
    warm = min(warm, len(forth))
    found = forth[:warm]
    for i, task in enumerate(forth[warm:]):
        found += [task, back[i]]
    return found + back[len(forth) - warm :]


def all_forth(stages: int, chunks: int, micro: int) -> list[Task]:
    """For numbers of micro-batches that do not come out even: everything forth, then everything back."""
    return [*turns(FORTH, stages, chunks, micro), *turns(BACK, stages, chunks, micro)]


def turns(way: int, stages: int, chunks: int, micro: int) -> Iterator[Task]:
    """(way, chunk, micro-batch), a round of micro-batches at a time."""
    numbers, first = range(chunks) if way == FORTH else range(chunks - 1, -1, -1), 0
    for group in rounds(stages, micro):
        for chunk in numbers:
            for i in range(first, first + group):
                yield way, chunk, i
        first += group


def rounds(stages: int, micro: int) -> list[int]:
    """As many rounds as there can be with a micro-batch for each stage, as even as can be."""
    count = max(1, micro // stages)
    return [micro // count + (i < micro % count) for i in range(count)]


class Step:
    """One step under way."""

    def __init__(
        self, stages: Sequence[Sequence[Chunk]], micro: int, hop: float, orders: Sequence[Sequence[Task]]
    ) -> None:
        self.stages, self.micro, self.hop, self.orders = stages, micro, hop, orders
        self.done: dict[tuple[int, int, int], float] = {}
        self.at = [0] * len(stages)
        self.free = [0.0] * len(stages)
        self.wire = [0.0] * len(stages)
        self.now = [0] * len(stages)
        self.held = 0
        self.ready = [self.gathered(p) for p in range(len(stages))]

    def gathered(self, stage: int) -> list[float]:
        """When each chunk's weights are there."""
        found = []
        for chunk in self.stages[stage]:
            self.wire[stage] += chunk.gather
            found.append(self.wire[stage])
        return found

    def run(self) -> bool:
        """Whether all tasks could be done."""
        moving = True
        while moving:
            moving = sum(self.advance(stage) for stage in range(len(self.stages))) > 0
        return all(at == len(order) for at, order in zip(self.at, self.orders, strict=True))

    def advance(self, stage: int) -> bool:
        """Do what can be done on a stage now."""
        begun = self.at[stage]
        while self.at[stage] < len(self.orders[stage]):
            task = self.orders[stage][self.at[stage]]
            after = self.after(stage, task)
            if after is None:
                break
            self.do(stage, task, after)
            self.at[stage] += 1
        return self.at[stage] > begun

    def after(self, stage: int, task: Task) -> float | None:
        """When what a task waits for is there; None where it is not done yet."""
        way, chunk, i = task
        count, place = len(self.stages), chunk * len(self.stages) + stage
        last = count * len(self.stages[0]) - 1
        ready = self.ready[stage][chunk]
        if way == FORTH:
            return ready if place == 0 else self.arrived(FORTH, place - 1, i, ready)
        if place == last:
            return self.done.get((FORTH, place, i))
        return self.arrived(BACK, place + 1, i, 0.0)

    def arrived(self, way: int, place: int, i: int, least: float) -> float | None:
        found = self.done.get((way, place, i))
        return None if found is None else max(found + (self.hop if len(self.stages) > 1 else 0.0), least)

    def do(self, stage: int, task: Task, after: float) -> None:
        way, number, i = task
        chunk = self.stages[stage][number]
        end = max(self.free[stage], after) + (chunk.forth if way == FORTH else chunk.back)
        self.free[stage] = self.done[way, number * len(self.stages) + stage, i] = end
        self.now[stage] += chunk.layers if way == FORTH else -chunk.layers
        self.held = max(self.held, self.now[stage])
        if way == BACK and i == self.micro - 1:
            self.wire[stage] = max(self.wire[stage], end) + chunk.reduce

    def end(self) -> float:
        return max(*self.free, *self.wire)
