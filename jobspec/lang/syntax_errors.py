"""The words for a token that cannot stand where it stands.

Takes: the tokens, the place, the parser's states. Promises: one report in plain words: what was found, what is expected
here, and the likely correction where the mistake is a known one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobspec.lang.diagnostics import Reporter
from jobspec.lang.lalr import expected
from jobspec.lang.source import Source, Span
from jobspec.lang.tokens import Token


@dataclass(frozen=True)
class Mistake:
    """Token `at` cannot follow the states; `written`: the values on the stack since the statement began."""

    source: Source
    tokens: Sequence[Token]
    at: int
    states: Sequence[int]
    written: Sequence[Any]


def report_mistake(mistake: Mistake, reporter: Reporter) -> None:
    token = mistake.tokens[mistake.at]
    span = Span(mistake.source, token.start, token.end)
    reporter.error("E0101", f"found {token.text!r}, expected {sorted(expected(mistake.states))}", span)
