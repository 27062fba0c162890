"""Places of a text as the protocol counts them: lines from 0, and within a line the code units of the client's choice.

Takes: a source and how the client counts. Promises: offsets and spans to positions and back; a position behind the end
of its line is the end of the line, as the protocol says. The lines are ours: only `\\n`, `\\r\\n` and `\\r` end one.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsprotocol import types

from jobspec.lang.source import Source, Span

#: bytes of one unit in an encoding that has no mark at its start
UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


@dataclass(frozen=True)
class Positions:
    """`encoding`: utf-8, utf-16 or utf-32."""

    source: Source
    encoding: str = "utf-16"

    def units(self, text: str) -> int:
        name, size = UNITS[self.encoding]
        return len(text.encode(name, "surrogatepass")) // size

    def position(self, offset: int) -> types.Position:
        place = Span(self.source, offset, offset)
        before = self.source.line(place.line)[: place.column - 1]
        return types.Position(place.line - 1, self.units(before))

    def range(self, span: Span) -> types.Range:
        return types.Range(self.position(span.start), self.position(span.end))

    def offset(self, position: types.Position) -> int:
        starts = self.source.line_starts
        if position.line >= len(starts):
            return len(self.source.text)
        line = self.source.line(position.line + 1)
        return starts[position.line] + self.letters(line, position.character)

    def letters(self, line: str, units: int) -> int:
        """How many letters of the line the first `units` code units are."""
        used = 0
        for count, letter in enumerate(line):
            if used >= units:
                return count
            used += self.units(letter)
        return len(line)

    def whole(self) -> types.Range:
        return self.range(self.source.span(0, len(self.source.text)))
