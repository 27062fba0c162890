"""Graphs of tasks run one task after another, on any backend: the test bench of every cut.

Takes: a graph, what it is given, something that runs a program. Promises: the results by name, as the step itself would
give them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.contract import PROFILE
from jobspec.ir.program import Program
from jobspec.passes.split.graph import STEP, Cut, Graph, check_graph
from jobspec.passes.split.task_job import MADE, task_job
from jobspec.runtime.engine import compile_for

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Run = Callable[[Program, Arrays, int], dict[str, Array]]


def evaluated(graph: Graph, given: Arrays, run: Run, step: int = 0) -> dict[str, Array]:
    """The graph's results; each task is run once, in the graph's order."""
    check_graph(graph)
    values = {name: given[name] for name, _ in graph.given}
    for task in graph.tasks:
        inputs = {take.input: part(values[take.value], take.cut) for take in task.takes}
        found = run(task.program, inputs, step)
        values |= {value: found[output] for output, value in task.gives}
    return {name: values[value] for name, value in graph.results}


def part(x: Array, cut: Cut | None) -> Array:
    return x if cut is None else np.take(x, range(cut.first, cut.last), cut.axis)


def runner(backend: str, profile: str = PROFILE, threads: int = 1) -> Run:
    """Runs programs on a backend; each is compiled once."""

    @cache
    def opened(program: Program) -> Any:
        return compile_for(task_job(program, profile), backend).open(threads, Path("/nonexistent"))

    def run(program: Program, inputs: Arrays, step: int) -> dict[str, Array]:
        session = opened(program)
        for name, value in inputs.items():
            session.write(name, np.asarray(value, order="C"))
        session.run("step", step, np.zeros((1, 0), np.uint8))
        return {name: session.read(MADE + name) for name, _ in program.outputs}

    return run


def whole(program: Program, given: Arrays, run: Run, step: int = 0) -> dict[str, Array]:
    """The step itself, as one task."""
    names = {node["name"] for node in program.inputs} - {STEP}
    return run(program, {name: given[name] for name in names}, step)
