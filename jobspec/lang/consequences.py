"""Errors that only follow from another one.

Takes: what was reported of a text's syntax. Promises: one error for each cause: where a block was written with a
colon, or a brace on a line of its own, or a brace inside of a value, or a word of the language was made a name, what
the parser then stumbles over is left out. Errors of the rest of the text stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobspec.lang.diagnostics import Diagnostic, Reporter
from jobspec.lang.habits import BLOCK_COLON, BRACE_BELOW, BRACE_IN_VALUE
from jobspec.lang.source import Source

#: errors that a lost block or bracket brings about
STRAY = frozenset({"E0101", "E0102", "E0103"})
#: what is said of blocks and braces that bring some about
CAUSES = (BLOCK_COLON, BRACE_BELOW, BRACE_IN_VALUE)


def drop_consequences(reporter: Reporter) -> None:
    """Take out of the reporter what follows from another error there."""
    for cause in [found for found in reporter.diagnostics if found.code == "E0107" or found.help in CAUSES]:
        for other in list(follows(cause, reporter.diagnostics)):
            reporter.drop(other)


def follows(cause: Diagnostic, found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Those of `found` that are consequences of `cause`."""
    lines = consequent_lines(cause)
    for other in found:
        if other is cause or other.code not in STRAY:
            continue
        same_line = cause.help == BRACE_IN_VALUE and other.span.line == cause.span.line
        again = cause.code == "E0107" and other.span.start > cause.span.end and word_before(other) == word_of(cause)
        if other.span.line in lines or same_line or again:
            yield other


def consequent_lines(cause: Diagnostic) -> range:
    """Lines that were meant as the block of a header that could not be read."""
    source, line = cause.span.source, cause.span.line
    if cause.help not in (BLOCK_COLON, BRACE_BELOW):
        return range(0)
    deep, last = indent(source, line), len(source.line_starts)
    end = line + 1
    while end <= last and belongs(source, end, deep):
        end += 1
    return range(line + 1, end)


def belongs(source: Source, number: int, deep: int) -> bool:
    """A line that is indented deeper, holds a brace alone, or nothing."""
    text = source.line(number).strip()
    return not text.strip("{}") or indent(source, number) > deep


def indent(source: Source, number: int) -> int:
    text = source.line(number)
    return len(text) - len(text.lstrip())


def word_of(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    return span.source.text[span.start : span.end]


def word_before(diagnostic: Diagnostic) -> str:
    """The word right before the place of an error."""
    before = diagnostic.span.source.text[: diagnostic.span.start].split()
    return before[-1] if before else ""
