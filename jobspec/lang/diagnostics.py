"""What is wrong with a job, shown to the person who wrote it.

Takes: a code, plain words, spans of the source. Promises: a picture of the user's own lines with carets, the names and
the next step; several independent errors in one run, in the order of the text, one per cause.
Every code has an entry in codes.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from jobspec.ir.errors import CompileError
from jobspec.lang.excerpt import Mark, excerpt
from jobspec.lang.source import Span

MOST_SHOWN = 20
#: what is said once, however often the word stands: an axis or a name that is missing, a `def` that is to be a layer
ONCE = frozenset({"E0201", "E0202", "E0247"})


@dataclass(frozen=True)
class Edit:
    """Replace the text of `span` by `text`: the change that a help line proposes."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One error. `label` stands beside the carets under `span`; `labels` mark further places."""

    code: str
    message: str
    span: Span
    label: str = ""
    labels: tuple[tuple[Span, str], ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    edit: Edit | None = None

    def render(self) -> str:
        """The whole message, without a newline at its end."""
        marks = [Mark(self.span, self.label), *(Mark(span, text) for span, text in self.labels)]
        lines = [f"error[{self.code}]: {self.message}", f"  --> {self.span}", *excerpt(self.span, marks)]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, f"help: {self.help}"] if self.help else lines)


class DiagnosticsError(CompileError):
    """The job does not compile: `diagnostics` says why, sorted by place, never empty."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(dict.fromkeys(diagnostics), key=place))
        first = self.diagnostics[0]
        super().__init__(first.code, first.message, help=first.help)

    def __str__(self) -> str:
        shown = [diagnostic.render() for diagnostic in self.diagnostics[:MOST_SHOWN]]
        more = len(self.diagnostics) - len(shown)
        return "\n\n".join([*shown, f"and {more} more errors"] if more else shown)


def place(diagnostic: Diagnostic) -> tuple[str, int, int, str]:
    span = diagnostic.span
    return span.source.name, span.start, span.end, diagnostic.code


@dataclass
class Reporter:
    """Collects errors so that one run shows all of them; a later error at the very same span is a consequence."""

    by_span: dict[Span, Diagnostic] = field(default_factory=dict)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return list(self.by_span.values())

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        labels: Sequence[tuple[Span, str]] = (),
        notes: Sequence[str] = (),
        help: str | None = None,
        edit: Edit | None = None,
    ) -> None:
        self.add(Diagnostic(code, message, span, label, tuple(labels), tuple(notes), help, edit))

    def add(self, diagnostic: Diagnostic) -> None:
        cause = (diagnostic.code, diagnostic.message, diagnostic.help)
        if diagnostic.code in ONCE and cause in {(d.code, d.message, d.help) for d in self.by_span.values()}:
            return
        self.by_span.setdefault(diagnostic.span, diagnostic)

    def drop(self, diagnostic: Diagnostic) -> None:
        """Forgets what turned out to follow from another error."""
        self.by_span.pop(diagnostic.span, None)

    def stop_if_any(self) -> None:
        """Raises DiagnosticsError if something was reported."""
        if self.by_span:
            self.stop()

    def stop(self) -> NoReturn:
        raise DiagnosticsError(self.diagnostics)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most probably meant; None if nothing is near (a third of its letters)."""
    best = min(((*apart(word, other), other) for other in known), default=None)
    return best[2] if best and 0 < best[0] <= max(1, len(word) // 3) else None


def apart(word: str, other: str) -> tuple[int, bool]:
    """How far, and whether by more than capitals: these count as one slip, and the nearest."""
    differ = word.lower() != other.lower()
    return edit_distance(word, other) if differ else int(word != other), differ


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A help line, or None."""
    near = closest(word, known)
    return f"did you mean `{near}`?" if near else None


def edit_distance(a: str, b: str) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
