"""What each position of a mesh holds, and what moves between them in a step.

Takes: a step cut over a mesh. Promises: bytes, counted from the graph: a value, or the part of it that is taken, moves
once to each position that reads it and is not the one that made it. It stays with who made it until its last reader
has it, and with who took it until it is read there for the last time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from jobspec.ir.types import Type
from jobspec.passes.split.boxes import shape_of
from jobspec.passes.split.graph import Cut, Graph, taken_type
from jobspec.passes.split.mesh import Meshed
from jobspec.passes.split.placed import ANYWHERE


@dataclass(frozen=True)
class Traffic:
    """Bytes of a step. `held`: state, by position; `moved`: by (from, to); `fed`: of batches, by position."""

    held: Mapping[int, int]
    moved: Mapping[tuple[int, int], int]
    fed: Mapping[int, int]

    @property
    def total(self) -> int:
        """Between positions."""
        return sum(self.moved.values())


def traffic(meshed: Meshed) -> Traffic:
    """What the positions hold and send."""
    graph, at = meshed.graph, places(meshed)
    held, moved, fed = Counter[int](), Counter[tuple[int, int]](), Counter[int]()
    for slot in meshed.slots.values():
        for block in slot.blocks:
            held[block.place] += Type(slot.type.dtype, shape_of(block.box)).nbytes
    reads = {(take.value, take.cut, task.place or 0) for task in graph.tasks for take in task.takes}
    for value, cut, place in reads:
        size = taken_type(graph.types[value], cut).nbytes
        if at[value] == ANYWHERE:
            fed[place] += size
        elif at[value] != place:
            moved[at[value], place] += size
    return Traffic(held, moved, fed)


def places(meshed: Meshed) -> dict[str, int]:
    """Where each value is made, or lies before the step."""
    at = {name: ANYWHERE for name, _ in meshed.graph.given}
    at |= {block.value: block.place for held in meshed.slots.values() for block in held.blocks}
    return at | {value: task.place or 0 for task in meshed.graph.tasks for _, value in task.gives}


def most(meshed: Meshed) -> dict[int, int]:
    """Bytes of values that each position has at its most, the tasks one after another in the graph's order; what a
    task needs inside is not among them."""
    graph, at, held = meshed.graph, places(meshed), traffic(meshed).held
    changes = {place: Counter[int]() for place in {task.place or 0 for task in graph.tasks} | {*held}}
    for (value, cut, place), (first, last) in stays(graph, at).items():
        size = taken_type(graph.types[value], cut).nbytes
        changes[place][first] += size
        changes[place][last + 1] -= size
    return {place: held[place] + max(accumulate(found[i] for i in range(len(graph.tasks) + 1)))
            for place, found in changes.items()}  # fmt: skip


def stays(graph: Graph, at: Mapping[str, int]) -> dict[tuple[str, Cut | None, int], tuple[int, int]]:
    """From which task to which a position has what is made in the step or comes from elsewhere."""
    kept, found = {value for _, value in graph.results}, dict[tuple[str, Cut | None, int], tuple[int, int]]()
    made: set[str] = set()
    for i, task in enumerate(graph.tasks):
        place = task.place or 0
        for take in task.takes:
            if at[take.value] != place:
                first, _ = found.get((take.value, take.cut, place), (i, i))
                found[take.value, take.cut, place] = first, i
            if take.value in made and take.value not in kept:
                found[take.value, None, at[take.value]] = found[take.value, None, at[take.value]][0], i
        for _, value in task.gives:
            made.add(value)
            found[value, None, place] = i, len(graph.tasks) - 1 if value in kept else i
    return found
