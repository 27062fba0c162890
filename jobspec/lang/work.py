"""One program in the making: the training step, or an evaluation.

Takes: sizes, the registry of state that all programs of a job share. Promises: what the evaluation of expressions
gathers on its way: fields of the batch that were used, axes that were used, where in the text each node comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.ir.program import Node
from jobspec.lang.clock import Before, no_phase_before
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.region import Region
from jobspec.lang.registry import Registry
from jobspec.lang.source import Source, Span
from jobspec.lang.values import Tensor


class Watcher:
    """Looks on while a text gets its meaning, and changes nothing; this one sees nothing. An editor has another."""

    def saw(self, frame: Any, node: Any, value: Any) -> None:
        """In `frame`, the tree's `node` (an expression, a parameter, a carried value) has this value."""

    def passed(self, frame: Any, statement: Any) -> None:
        """A statement was executed, or had an error; the names that it binds are in the frame's scope."""

    def assumed(self, data: str) -> None:
        """A step, or their number, hangs on an epoch of a data set that is not at hand: one step was taken for it."""


class Assumptions(Watcher):
    """Names of the data sets for whose epochs one step was taken."""

    def __init__(self) -> None:
        self.data: list[str] = []

    def assumed(self, data: str) -> None:
        self.data.append(data)


@dataclass(eq=False)
class Places:
    """Node → line and column in the job's own text; and who looks on."""

    source: Source
    table: dict[Node, tuple[int, int]] = field(default_factory=dict)
    watcher: Watcher = field(default_factory=Watcher)

    def mark(self, node: Node, span: Span) -> None:
        """Every node under `node` that has no place yet was made by the expression at `span`."""
        if span.source is not self.source:
            return
        place = (span.line, span.column)
        stack = [node]
        while stack:
            node = stack.pop()
            if node not in self.table:
                self.table[node] = place
                stack += node.args


@dataclass(eq=False)
class Work:
    """`sizes`: axis → size (an evaluation has its own B). `step`: the step's number, in an
    evaluation the batch's. `examples`: where each example of a piece stands in the whole batch."""

    training: bool
    seed: int
    sizes: Mapping[str, int]
    registry: Registry
    reporter: Reporter
    places: Places
    step: Tensor | None = None
    examples: Tensor | None = None
    root: Region = field(default_factory=Region)
    feeds: dict[str, Tensor] = field(default_factory=dict)
    used_axes: set[str] = field(default_factory=set)
    before: Before = no_phase_before
    notes: tuple[str, ...] = ()
