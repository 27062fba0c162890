"""A step as a graph of tasks that different machines can run.

Takes: nothing of any cut. Promises: plain immutable values: named values, and tasks that make them out of others. A
task's program is closed, so whoever runs it, and how often, comes to the same bits; a graph that `check_graph` lets
pass can be run in its order, or in any other in which each task comes after those whose values it takes.

    value   named: what is given (state by slot, feeds by name), and what tasks give
    step    the number of the step is no value: a program that has an input `step` is told it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from jobspec.ir.program import Program
from jobspec.ir.types import Type

#: input of a program that is the number of the step (i32)
STEP = "step"


@dataclass(frozen=True)
class Cut:
    """Places first … last-1 of an axis."""

    axis: int
    first: int
    last: int

    def of(self, kind: Type) -> Type:
        shape = (*kind.shape[: self.axis], self.last - self.first, *kind.shape[self.axis + 1 :])
        return replace(kind, shape=shape)


@dataclass(frozen=True)
class Take:
    """The program's input `input` is `value`, or a part of it."""

    input: str
    value: str
    cut: Cut | None = None


@dataclass(frozen=True)
class Task:
    """`gives`: (output of the program, value). `place`: tasks of one place go to one worker where that can be."""

    name: str
    program: Program
    takes: tuple[Take, ...]
    gives: tuple[tuple[str, str], ...]
    place: int | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Values that it takes, each once."""
        return tuple(dict.fromkeys(take.value for take in self.takes))

    @property
    def made(self) -> tuple[tuple[str, Type], ...]:
        """Values that it gives, and their types."""
        types = dict(self.program.outputs)
        return tuple((value, types[output].type) for output, value in self.gives)


@dataclass(frozen=True)
class Graph:
    """`given`: values from outside. `tasks`: each behind those whose values it takes. `results`: (output of the whole
    program, value); the value may be a given one."""

    given: tuple[tuple[str, Type], ...]
    tasks: tuple[Task, ...]
    results: tuple[tuple[str, str], ...]
    types: Mapping[str, Type] = field(init=False, compare=False, hash=False, repr=False)

    def __post_init__(self) -> None:
        types = dict(self.given)
        for task in self.tasks:
            types.update(task.made)
        object.__setattr__(self, "types", types)


class BadGraph(ValueError):
    """A graph that cannot be run; the message has one line per reason."""


def check_graph(graph: Graph) -> None:
    """Raises BadGraph where a value is made twice, taken before it is made, or of another type than is asked for."""
    reasons = list(faults(graph))
    if reasons:
        raise BadGraph("\n".join(reasons))


def faults(graph: Graph) -> Iterator[str]:
    known = dict(graph.given)
    names = [task.name for task in graph.tasks]
    yield from (f"two tasks are called `{name}`" for name in {n for n in names if names.count(n) > 1})
    for task in graph.tasks:
        yield from (f"task `{task.name}`: {reason}" for reason in task_faults(task, known))
        known.update(task.made)
    yield from (f"result `{name}`: there is no value `{value}`" for name, value in graph.results if value not in known)


def task_faults(task: Task, known: Mapping[str, Type]) -> Iterator[str]:
    inputs = {node["name"]: node.type for node in task.program.inputs if node["name"] != STEP}
    taken = [take.input for take in task.takes]
    if sorted(taken) != sorted(inputs):
        yield f"its program has the inputs {sorted(inputs)}, it takes {sorted(taken)}"
        return
    for take in task.takes:
        if take.value not in known:
            yield f"`{take.value}` is not there yet"
        elif (found := taken_type(known[take.value], take.cut)) != inputs[take.input]:
            yield f"`{take.value}` is {found}, `{take.input}` is {inputs[take.input]}"
    outputs = [name for name, _ in task.program.outputs]
    if [output for output, _ in task.gives] != outputs:
        yield f"its program has the outputs {outputs}, it gives {[output for output, _ in task.gives]}"
    yield from (f"`{value}` is made twice" for _, value in task.gives if value in known)


def taken_type(kind: Type, cut: Cut | None) -> Type:
    return kind if cut is None else cut.of(kind)
