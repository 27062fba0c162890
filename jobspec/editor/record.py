"""What each part of a text turned out to be, written down while it gets its meaning.

Takes: the calls of a `Watcher` (lang/work.py). Promises: values by the place of their text, in the order in which they
came, of the text's own places only; a place that is passed many times (a function that is called often) keeps the first
few. Nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobspec.lang import tree
from jobspec.lang.dispatch import bound_by
from jobspec.lang.frame import Frame
from jobspec.lang.registry import Held
from jobspec.lang.source import Source, Span
from jobspec.lang.values import Axes
from jobspec.lang.work import Watcher

MOST = 16
Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Seen:
    """A value at a place; `training` is False where an evaluation saw it."""

    value: Any
    training: bool


@dataclass(eq=False)
class Recorder(Watcher):
    """`values`: by the place of an expression or of a name that is bound. `axes`: what the axis parameters of a
    definition stood for, by its name's place. `held`: slots of state by the place of their name in the text."""

    source: Source
    values: dict[Place, list[Seen]] = field(default_factory=dict)
    axes: dict[Place, list[dict[str, Axes]]] = field(default_factory=dict)
    held: dict[Place, list[Held]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def saw(self, frame: Frame, node: tree.Node, value: Any) -> None:
        if node.span.source is not self.source:
            return
        if isinstance(node, tree.Param):
            self.note(frame, node.name.span, value)
            self.note_axes(frame)
        elif isinstance(node, tree.Parameter | tree.State):
            held = self.held.setdefault(place(node.name.span), [])
            if value not in held:
                held.append(value)
        else:
            self.note(frame, node.span, value)

    def passed(self, frame: Frame, statement: tree.Statement) -> None:
        if statement.span.source is not self.source:
            return
        if not self.sizes or frame.work.training:
            self.sizes.update(frame.work.sizes)
        names = dict.fromkeys(bound_by(statement))
        if isinstance(statement, tree.Let | tree.Assign):
            for ident in targets(statement):
                self.note(frame, ident.span, frame.scope.names[ident.text].value)
        elif isinstance(statement, tree.Parameter | tree.State):
            (name,) = names
            self.note(frame, statement.name.span, frame.scope.names[name].value)

    def note(self, frame: Frame, span: Span, value: Any) -> None:
        seen = self.values.setdefault(place(span), [])
        if len(seen) < MOST:
            seen.append(Seen(value, frame.work.training))

    def note_axes(self, frame: Frame) -> None:
        """What the axis parameters of the function at work stand for."""
        if frame.calls and frame.axes:
            definition = frame.calls[-1][1].definition
            found = self.axes.setdefault(place(definition.name.span), [])
            if len(found) < MOST and dict(frame.axes) not in found:
                found.append(dict(frame.axes))


def targets(statement: tree.Let | tree.Assign) -> list[tree.Ident]:
    if isinstance(statement, tree.Assign):
        return [statement.name]
    return [target.name for target in statement.targets]


def place(span: Span) -> Place:
    return span.start, span.end
