"""A graph made ready to be scheduled: its programs as text, the parts of values that are asked for.

Takes: a graph. Promises: what a scheduler asks at every step is found once; a task asks for exactly the parts that
other tasks take, and for the whole where it is a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.program import Program
from jobspec.ir.text import print_program
from jobspec.passes.split.graph import Cut, Graph, Task, check_graph
from jobspec.runtime.workers.crew import Parcel

#: the step, so to say, that makes the first state
FIRST = -1
#: a value, or the part of it that a task takes
Part = tuple[str, Cut | None]
#: what raised flags mean for the whole: those that stop the run
Meaning = Callable[[Task, tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """`needs`: of each task the parts it takes, each once; `gives`: of each task its outputs with the parts asked for;
    `makers`: part → number of the task that makes it."""

    graph: Graph
    texts: tuple[NDArray[np.uint8], ...]
    needs: tuple[tuple[Part, ...], ...]
    gives: tuple[tuple[tuple[str, tuple[Cut | None, ...]], ...], ...]
    makers: dict[Part, int]

    @property
    def results(self) -> tuple[str, ...]:
        """Values that are made for the whole."""
        return tuple(dict.fromkeys(value for _, value in self.graph.results if (value, None) in self.makers))

    def parts(self, task: int) -> tuple[Part, ...]:
        """The parts that a task's answer holds, in its order."""
        values = dict(self.graph.tasks[task].gives)
        return tuple((values[output], cut) for output, cuts in self.gives[task] for cut in cuts)


def prepared(graph: Graph) -> Prepared:
    """Raises BadGraph."""
    check_graph(graph)
    texts: dict[Program, NDArray[np.uint8]] = {}
    for task in graph.tasks:
        if task.program not in texts:
            texts[task.program] = np.frombuffer(print_program(task.program).encode(), np.uint8)
    asked: dict[str, dict[Cut | None, None]] = {value: {None: None} for _, value in graph.results}
    for task in graph.tasks:
        for take in task.takes:
            asked.setdefault(take.value, {}).setdefault(take.cut)
    needs = tuple(tuple(dict.fromkeys((t.value, t.cut) for t in task.takes)) for task in graph.tasks)
    gives = tuple(tuple((output, tuple(asked.get(value, ()))) for output, value in task.gives) for task in graph.tasks)
    made = {
        (value, cut): number
        for number, task in enumerate(graph.tasks)
        for _, value in task.gives
        for cut in asked.get(value, ())
    }
    return Prepared(graph, tuple(texts[task.program] for task in graph.tasks), needs, gives, made)


@dataclass(frozen=True, eq=False)
class Work:
    """A graph at one step. `given`: a part of what is given, for workers to take; `meaning`: which flags stop the run;
    `since`: the step whose state comes of it, FIRST for the first state, None where none does."""

    prepared: Prepared
    step: int
    given: Callable[[Part], Parcel]
    meaning: Meaning
    since: int | None = None


@dataclass(frozen=True)
class Worked:
    """What came of it: results by value, and the flags that stop the run, in the tasks' order."""

    results: dict[str, Parcel]
    flags: tuple[str, ...]
