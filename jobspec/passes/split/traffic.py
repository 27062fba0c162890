"""What each position of a mesh holds, and what moves between them in a step.

Takes: a step cut over a mesh. Promises: bytes, counted from the graph: a value, or the part of it that is taken, moves
once to each position that reads it and is not the one that made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.ir.types import Type
from jobspec.passes.split.boxes import shape_of
from jobspec.passes.split.graph import taken_type
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
    graph = meshed.graph
    blocks = [(held.type, block) for held in meshed.slots.values() for block in held.blocks]
    at = {name: ANYWHERE for name, _ in graph.given} | {block.value: block.place for _, block in blocks}
    for task in graph.tasks:
        assert task.place is not None
        at |= {value: task.place for _, value in task.gives}
    held, moved, fed = Counter[int](), Counter[tuple[int, int]](), Counter[int]()
    for kind, block in blocks:
        held[block.place] += Type(kind.dtype, shape_of(block.box)).nbytes
    reads = {(take.value, take.cut, task.place or 0) for task in graph.tasks for take in task.takes}
    for value, cut, place in reads:
        size = taken_type(graph.types[value], cut).nbytes
        if at[value] == ANYWHERE:
            fed[place] += size
        elif at[value] != place:
            moved[at[value], place] += size
    return Traffic(held, moved, fed)
