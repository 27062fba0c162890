"""Where a statement stands: its names, its axes, its place in the label path.

Takes: the work, the module, the call. Promises: names and axes resolve here and nowhere else, with an error that shows
the user's own word and the nearest known one; errors are reported at the user's line, the library's line beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from jobspec.lang import tree
from jobspec.lang.diagnostics import Diagnostic, did_you_mean
from jobspec.lang.hints import CAPITALS
from jobspec.lang.refusal import Refusal
from jobspec.lang.region import Loop, Region
from jobspec.lang.scope import Scope
from jobspec.lang.source import Span
from jobspec.lang.things import Function, Module
from jobspec.lang.values import Axes
from jobspec.lang.work import Work

#: help for what goes wrong in a library's function, where the reader wrote its call alone
IN_A_LIBRARY = {"E0232": "name the axes in the bracket of the call the other way round"}


@dataclass(eq=False)
class Activation:
    """One layer at work (or a section): its label path, the layers it called, the names it declared.
    `draw_path` names its random draws."""

    path: tuple[str, ...] = ()
    draw_path: tuple[str, ...] = ()
    labelled: dict[str, tree.Def] = field(default_factory=dict)
    unlabelled: dict[str, Span] = field(default_factory=dict)
    declared: dict[str, Span] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    draws: int = 0
    is_section: bool = False


@dataclass(frozen=True, eq=False)
class Cell:
    """A state in reach of `:=`: the slot, the region of its declaration, its axes there. `stacked`: of an optimizer's
    p, those of its axes that its pattern does not name; every state beside it has them too."""

    slot: str
    home: Region
    axes: Axes
    shape: tuple[int, ...]
    stacked: Axes = ()


@dataclass(frozen=True, eq=False)
class Frame:
    """`kind`: def, layer, optim, train, eval. `axes`: what axis parameters stand for. `stated`: axes that the statement
    at hand states for its result. `calls`: the calls that led here, outermost first."""

    work: Work
    module: Module
    scope: Scope
    activation: Activation
    kind: str
    axes: Mapping[str, Axes] = field(default_factory=dict)
    states: dict[str, Cell] = field(default_factory=dict)
    stated: Axes | None = None
    calls: tuple[tuple[Span, Function], ...] = ()

    @property
    def region(self) -> Region:
        return self.scope.region

    def inside(self, region: Region) -> Frame:
        """The body of a loop here."""
        return replace(self, scope=Scope(region, self.scope), stated=None)

    def stating(self, axes: Axes | None) -> Frame:
        return replace(self, stated=axes)

    # ---- axes ----

    def resolve(self, axis: tree.Axis) -> Axes:
        """What an axis of the text stands for: one axis, or several where a parameter takes several."""
        base = axis.text.rstrip("'")
        primes = axis.text[len(base) :]
        if base in self.axes:
            return tuple(a + primes for a in self.axes[base])
        if self.module.is_job and base in self.work.sizes:
            self.work.used_axes.add(base)
            return (base + primes,)
        raise self.unknown_axis(axis, base)

    def unknown_axis(self, axis: tree.Axis, base: str) -> Refusal:
        known = [*self.axes, *(self.work.sizes if self.module.is_job else ())]
        where = "a `dim`" if self.module.is_job else "an axis parameter in brackets"
        return Located(
            "E0201",
            f"there is no axis {base}",
            axis.span,
            help=CAPITALS.get(base)
            or self.declared_later(base)
            or (did_you_mean(base, known) if len(base) > 1 else None)
            or f"declare it as {where}: `{self.example(base)}`",
        )

    def declared_later(self, base: str) -> str | None:
        """A `dim` that stands further down than the one that uses it."""
        found = re.search(rf"^[^#\n]*\bdim\b[^#\n]*?\b{base}\s*=", self.module.source.text, re.MULTILINE)
        if self.kind != "dim" or not found:
            return None
        line = self.module.source.text.count("\n", 0, found.start()) + 1
        return f"`dim {base}` stands at line {line}: move it up, a dim uses those before it"

    def example(self, base: str) -> str:
        return f"dim {base}=64" if self.module.is_job else f"name[{base}](…)"

    def resolve_all(self, axes: Iterable[tree.Axis]) -> Axes:
        """Flattened. Refuses an axis that comes twice."""
        found: list[str] = []
        for axis in axes:
            names = self.resolve(axis)
            for name in names:
                if name in found:
                    raise Located("E0204", f"{name} is named twice", axis.span)
            found += names
        return tuple(found)

    def one(self, axis: tree.Axis) -> str:
        """A single axis."""
        names = self.resolve(axis)
        if len(names) != 1:
            raise Located("E0204", f"{axis.text} stands for {' '.join(names)} here; one axis is needed", axis.span)
        return names[0]

    def size(self, axis: str) -> int:
        """The declared size; a primed axis has that of the one it was made from."""
        return self.work.sizes[axis.rstrip("'")]

    def sizes(self, axes: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.size(axis) for axis in axes)

    def product(self, axis: tree.Axis) -> int:
        return prod(self.sizes(self.resolve(axis)))

    # ---- errors ----

    def report(self, refusal: Refusal, span: Span, parts: Sequence[Span] = ()) -> None:
        """The refusal as a diagnostic at `span`, or at the call of the job's own text that led to it."""
        if isinstance(refusal, Located):
            span, parts = refusal.span, ()
        labels = [(parts[i], text) for i, text in refusal.parts if i < len(parts)]
        label, help = refusal.label, refusal.help
        own = [call for call, _ in self.calls if self.is_own(call)]
        if not self.is_own(span) and own:
            labels.insert(0, (span, "in this library function"))
            span = own[-1]
            help = help and IN_A_LIBRARY.get(refusal.code, help)
        notes = (*refusal.notes, *self.work.notes)
        if refusal.code == "E0203" and (loop := self.loop_around()):
            notes = (*notes, f"inside of a loop over {loop}, each turn sees one place of {loop}: the axis is gone")
        if labels and not label:
            first = next((i for i, (place, _) in enumerate(labels) if place == span), None)
            label = labels.pop(first)[1] if first is not None else ""
        self.work.reporter.add(Diagnostic(refusal.code, refusal.message, span, label, tuple(labels), notes, help))

    def loop_around(self) -> str | None:
        """The axis of the innermost loop."""
        return self.region.axis if isinstance(self.region, Loop) else None

    def is_own(self, span: Span) -> bool:
        return span.source is self.work.places.source


class Located(Refusal):
    """A refusal that knows its place."""

    def __init__(self, code: str, message: str, span: Span, help: str | None = None, label: str = "") -> None:
        super().__init__(code, message, label=label, help=help)
        self.span = span

