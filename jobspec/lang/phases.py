"""Meaning of `phase NAME { … }`: the train section as each phase has it.

Takes: the train section. Promises: one section per phase, in the order of the text (a job without phases has one,
called ""). A phase's `name = …` stands in for the section's where that has the name; a new name comes in front of the
next one that does, else last. If the phase says any `update` or `freeze`, these are all it has. `AXIS = …` rebinds a
dim, and dims that are computed from it follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from jobspec.lang import tree
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.settings import setting_name
from jobspec.lang.source import Span

#: settings that say how long
LENGTHS = ("steps", "until", "epochs")
#: settings that are of the run, not of a phase
OF_THE_RUN = ("seed", "roots", "compute", "start")
#: kinds of statements of which a phase has its own or the section's, all of a group
GROUPS = ((tree.Update, tree.Freeze), (tree.Average,))
GROUPED = (tree.Update, tree.Freeze, tree.Average)


@dataclass(frozen=True)
class Setting:
    """One phase. `section`: `train` as the phase has it; `dims`: AXIS → its rebinding; `word`: where it begins."""

    name: str
    section: tree.Section
    word: Span
    dims: Mapping[str, tree.SetDim] = field(default_factory=dict)


def settings_of(reporter: Reporter, train: tree.Section) -> list[Setting]:
    """The phases of the section; what stands in the wrong place is reported."""
    phases = [statement for statement in train.body if isinstance(statement, tree.Phase)]
    if not phases:
        return [Setting("", train, first_word(train, train.kind))]
    base = tuple(statement for statement in train.body if not isinstance(statement, tree.Phase))
    check_lengths(reporter, base)
    check_names(reporter, phases)
    return [one(reporter, train, base, phase) for phase in phases]


def first_word(node: tree.Node, word: str) -> Span:
    return replace(node.span, end=node.span.start + len(word))


def check_lengths(reporter: Reporter, base: tree.Body) -> None:
    for statement in base:
        name = setting_name(statement)
        if name in LENGTHS:
            reporter.error(
                "E0340",
                f"`{name}` says how long the run is, and its phases say that too",
                statement.span,
                help="leave it out here: each phase has `steps` or `until`",
            )


def check_names(reporter: Reporter, phases: list[tree.Phase]) -> None:
    seen: dict[str, tree.Phase] = {}
    for phase in phases:
        first = seen.setdefault(phase.name.text, phase)
        if first is not phase:
            reporter.error(
                "E0316", f"there is a phase `{phase.name.text}` already, at line {first.span.line}", phase.name.span
            )


def one(reporter: Reporter, train: tree.Section, base: tree.Body, phase: tree.Phase) -> Setting:
    dims = dims_in(reporter, phase.body, "phase")
    own = tuple(marked(statement) for statement in phase.body if not isinstance(statement, tree.SetDim))
    check_own(reporter, phase, own)
    section = replace(train, body=tuple(merged(base, own)))
    return Setting(phase.name.text, section, first_word(phase, "phase"), dims)


def dims_in(reporter: Reporter, body: tree.Body, what: str) -> dict[str, tree.SetDim]:
    """AXIS → its rebinding."""
    dims: dict[str, tree.SetDim] = {}
    for statement in body:
        if isinstance(statement, tree.SetDim):
            first = dims.setdefault(statement.axis.text, statement)
            if first is not statement:
                reporter.error("E0310", f"{statement.axis.text} is set twice in this {what}", statement.span)
    return dims


def without_dims(reporter: Reporter, node: tree.Section) -> tuple[tree.Section, dict[str, tree.SetDim]]:
    """An evaluation without the dims that it rebinds, and these."""
    dims = dims_in(reporter, node.body, "evaluation")
    return replace(node, body=tuple(s for s in node.body if not isinstance(s, tree.SetDim))), dims


def marked(statement: tree.Statement) -> tree.Statement:
    """An average of a phase begins with it."""
    return replace(statement, of_phase=True) if isinstance(statement, tree.Average) else statement


def check_own(reporter: Reporter, phase: tree.Phase, own: tree.Body) -> None:
    for statement in own:
        if setting_name(statement) in OF_THE_RUN:
            reporter.error(
                "E0340",
                f"`{setting_name(statement)}` is of the whole run, not of the phase `{phase.name.text}`",
                statement.span,
                help="say it in `train`, outside of the phases",
            )
        if isinstance(statement, tree.Phase):
            reporter.error("E0301", "a phase does not stand in a phase", statement.span)


def merged(base: tree.Body, own: tree.Body) -> Iterator[tree.Statement]:
    """The statements of the section as the phase has them."""
    named = {setting_name(statement) for statement in base} - {""}
    instead, last = placed(own, named)
    replaced = tuple(kind for group in GROUPS if any(isinstance(s, group) for s in own) for kind in group)
    for statement in base:
        if setting_name(statement) in instead:
            yield from instead[setting_name(statement)]
        elif not isinstance(statement, replaced):
            yield statement
    yield from last


def placed(own: tree.Body, named: set[str]) -> tuple[dict[str, list[tree.Statement]], list[tree.Statement]]:
    """The phase's statements: those in the place of each of the section's names, and those behind all."""
    instead: dict[str, list[tree.Statement]] = {}
    waiting: list[tree.Statement] = []
    for statement in own:
        waiting.append(statement)
        name = setting_name(statement)
        if name in named:
            instead[name] = [*instead.get(name, []), *waiting]
            waiting = []
    return instead, waiting
