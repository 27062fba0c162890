"""A TextMate tokenizer for grammars of single-line matches, which is what ours has.

Takes: a grammar, a text. Promises: as the engine does, at each place of a line the rule that matches first, of several
the one that stands first; groups of a match have their own scopes; `None` is text that no rule matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Piece = tuple[str, str | None]


def rules_of(grammar: dict[str, Any]) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    found = [grammar["repository"][one["include"].removeprefix("#")] for one in grammar["patterns"]]
    return [(re.compile(rule["match"], re.ASCII), rule) for rule in found]


def tokenized(grammar: dict[str, Any], text: str) -> list[Piece]:
    """The pieces of all lines, blanks left out."""
    rules = rules_of(grammar)
    return [piece for line in text.splitlines() for piece in of_line(rules, line) if piece[0].strip()]


def of_line(rules: list[tuple[re.Pattern[str], dict[str, Any]]], line: str) -> Iterator[Piece]:
    at = 0
    while at < len(line):
        found = [(match, rule) for pattern, rule in rules if (match := pattern.search(line, at))]
        if not found:
            yield line[at:], None
            return
        match, rule = min(found, key=lambda pair: pair[0].start())
        assert match.end() > at, f"{rule} matches nothing"
        yield line[at : match.start()], None
        yield from pieces(match, rule)
        at = match.end()


def pieces(match: re.Match[str], rule: dict[str, Any]) -> Iterator[Piece]:
    if "captures" not in rule:
        yield match[0], rule["name"]
        return
    for group, value in rule["captures"].items():
        if match[int(group)]:
            yield match[int(group)], value["name"]
