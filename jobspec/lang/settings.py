"""Settings of a section: names that mean something to it, and nothing else.

Takes: the body of a section. Promises: each setting's expression by name; a name that is written twice, or that the
section does not know, is an error with the nearest known one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jobspec.lang import tree
from jobspec.lang.diagnostics import closest, did_you_mean
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import Refusal, Silenced


class Settings:
    """`name = expr` statements of a body whose names are in `known`. `others`: the statements that are not such."""

    def __init__(self, frame: Frame, body: tree.Body, known: Iterable[str]) -> None:
        self.frame = frame
        self.given: dict[str, tree.Expr] = {}
        self.others: list[tree.Statement] = []
        names = set(known)
        for statement in body:
            name = setting_name(statement)
            if name in names:
                self.add(name, statement)
            else:
                self.others.append(statement)

    def add(self, name: str, statement: tree.Statement) -> None:
        assert isinstance(statement, tree.Let) and not isinstance(statement.value, tree.Scan)
        if name in self.given:
            self.frame.report(Refusal("E0310", f"`{name}` is set twice"), statement.span)
        self.given.setdefault(name, statement.value)

    def value(self, name: str, check: Callable[[Any], Any]) -> Any:
        """The checked value; None where it is not set. Raises Silenced after a report."""
        if name not in self.given:
            return None
        node = self.given[name]
        value = evaluate(self.frame, node)
        try:
            return check(value)
        except Refusal as refusal:
            self.frame.report(refusal, node.span)
            raise Silenced from None

    def only(self, section: str, known: Iterable[str]) -> None:
        """Reports every statement that is no setting of this section."""
        for statement in self.others:
            name = setting_name(statement)
            message = f"`{section}` has no setting `{name}`" if name else f"this does not stand in `{section}`"
            help = did_you_mean(name, known) if name else None
            self.frame.report(
                Located("E0312", message, statement.span, help or f"it has {', '.join(known)}"), statement.span
            )


def misspelt(settings: Settings, *names: str) -> str | None:
    """Where the section has another word that is nearly one of `names`."""
    for statement in settings.others:
        word = setting_name(statement)
        near = closest(word, names) if word else None
        if near:
            return f"line {statement.span.line} says `{word}`: did you mean `{near}`?"
    return None


def setting_name(statement: tree.Statement) -> str:
    """The name that `name = expr` sets, empty for any other statement."""
    if isinstance(statement, tree.Let) and len(statement.targets) == 1 and not isinstance(statement.value, tree.Scan):
        target = statement.targets[0]
        return target.name.text if target.type is None else ""
    return ""
