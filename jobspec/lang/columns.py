"""Comments behind statements, in columns.

Takes: formatted lines, each with its comment apart. Promises: comments behind neighbouring lines of one depth stand in
one column, two blanks behind the longest of them, as long as none leaves the line for it; where one would, each of
these lines has its comment two blanks behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from jobspec.lang.breaking import LIMIT

GAP = 2


@dataclass(frozen=True)
class Row:
    """A line of text, indented; `comment`: what stands behind it."""

    text: str
    comment: str | None = None

    @property
    def group(self) -> tuple[bool, int]:
        """Neighbours of one group share a column."""
        return bool(self.comment), len(self.text) - len(self.text.lstrip())

    def at(self, column: int) -> str:
        return f"{self.text:<{column}}{self.comment}"


def in_columns(rows: Sequence[Row]) -> list[str]:
    """The lines of the file."""
    lines: list[str] = []
    for (commented, _), group in groupby(rows, key=lambda row: row.group):
        neighbours = list(group)
        lines += together(neighbours) if commented else [row.text for row in neighbours]
    return lines


def together(rows: Sequence[Row]) -> list[str]:
    """Lines with comments behind them, one below the other."""
    column = max(len(row.text) for row in rows) + GAP
    shared = [row.at(column) for row in rows]
    if max(map(len, shared)) <= LIMIT:
        return shared
    return [row.at(len(row.text) + GAP) for row in rows]
