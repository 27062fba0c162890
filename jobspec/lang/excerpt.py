"""Draws lines of the source with carets and words under them.

Takes: marks (a span and a text). Promises: the lines of a message between `-->` and `help:`, safe for a terminal
(no control characters of the source reach it) and never much wider than a screen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.lang.source import Source, Span

WIDTH = 120


@dataclass(frozen=True)
class Mark:
    """Carets under `span`, with `text` beside or below them."""

    span: Span
    text: str


@dataclass(frozen=True)
class Piece:
    """A mark on the screen: first column (from 0), number of carets, text."""

    column: int
    width: int
    text: str


def excerpt(primary: Span, marks: Sequence[Mark]) -> list[str]:
    """Every marked line once, the primary one first, then in the order of the text; other files by their name."""
    places = sorted({(m.span.source is not primary.source, m.span.line != primary.line, m.span.source.name,
                      m.span.line) for m in marks})
    gutter = len(str(max(line for *_, line in places)))
    lines: list[str] = []
    for elsewhere, _, name, number in places:
        here = [m for m in marks if m.span.line == number and m.span.source.name == name]
        lines += [f"  ::: {name}"] if elsewhere else []
        lines += marked_line(here[0].span.source, number, here, gutter)
    return lines


def marked_line(source: Source, number: int, marks: Sequence[Mark], gutter: int) -> list[str]:
    text, cut = window(source.line(number), marks)
    pieces = [piece(mark, text, cut) for mark in marks]
    head = f"{number:>{gutter}} | {printable(text)}".rstrip()
    return [head, *(f"{'':>{gutter}} | {under}" for under in underlines(pieces))]


def window(line: str, marks: Sequence[Mark]) -> tuple[str, int]:
    """The part of a long line that shows the first mark, and how many characters before it are left out."""
    if len(line) <= WIDTH:
        return line, 0
    first = min(mark.span.column for mark in marks) - 1
    cut = max(0, min(first - WIDTH // 3, len(line) - WIDTH))
    return line[cut : cut + WIDTH], cut


def piece(mark: Mark, text: str, cut: int) -> Piece:
    start = min(max(0, mark.span.column - 1 - cut), len(text))
    end = max(start, min(start + mark.span.end - mark.span.start, len(text)))
    return Piece(columns(text[:start]), max(1, columns(text[start:end])), mark.text)


def underlines(pieces: Sequence[Piece]) -> list[str]:
    """Carets of all pieces on one line, the text of the rightmost beside them, the others below, right to left."""
    ordered = sorted(pieces, key=lambda p: p.column)
    carets = overlay([(p.column, "^" * p.width) for p in ordered])
    lines = [f"{carets} {ordered[-1].text}".rstrip()]
    return lines + [" " * p.column + p.text for p in reversed(ordered[:-1]) if p.text]


def overlay(parts: Sequence[tuple[int, str]]) -> str:
    line = ""
    for column, text in parts:
        line = line.ljust(column)[:column] + text + line[column + len(text) :]
    return line


def columns(text: str) -> int:
    """Columns that a terminal uses for the printable form of `text`."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
