"""The lines of a file as its author grouped them, for the formatter.

Takes: all tokens of a source without errors, and the offsets of the newlines that end a statement. Promises: lines of
statements (`a; b` on one line stay together), every comment at its place, blank lines between lines, blocks within
statements and whether the author wrote a block on one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from jobspec.lang.tokens import COMMENT, END, EOF, Token


@dataclass(frozen=True)
class Comment:
    text: str
    own_line: bool


@dataclass
class Line:
    """Statements that share a line and the comment behind them; a comment alone has no statements."""

    blank_before: bool
    statements: list[Statement]
    comment: str | None = None


@dataclass
class Block:
    """`one_line`: neither newline nor comment inside; `hugs`: no newline before the `}`."""

    one_line: bool
    hugs: bool
    comment: str | None
    lines: list[Line]


Part: TypeAlias = Token | Comment | Block
Statement: TypeAlias = list[Part]


@dataclass
class Reader:
    """Walks the tokens once; `ends`: offsets of the newlines and semicolons that end a statement."""

    tokens: Sequence[Token]
    ends: set[int]
    at: int = 0
    newlines: int = field(default=0)

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def lines(self) -> list[Line]:
        """Up to the end of the block or file."""
        lines: list[Line] = []
        self.newlines = 0
        while self.token.kind not in ("RBRACE", EOF):
            if self.token.kind == END:
                self.skip_end()
            elif self.token.kind == COMMENT:
                self.comment(lines)
            else:
                self.statement(lines)
        return lines

    def skip_end(self) -> None:
        self.newlines += self.token.text != ";"
        self.at += 1

    def comment(self, lines: list[Line]) -> None:
        text = self.token.text.rstrip()
        if lines and not self.newlines:
            trailing(lines[-1]).comment = text
        else:
            lines.append(Line(self.newlines > 1, [], text))
        self.newlines = 0
        self.at += 1

    def statement(self, lines: list[Line]) -> None:
        if not lines or self.newlines:
            lines.append(Line(self.newlines > 1, []))
        parts: Statement = []
        lines[-1].statements.append(parts)
        while not self.statement_ends():
            parts += self.part()
        self.newlines = 0

    def statement_ends(self) -> bool:
        """Whether nothing but comments and newlines follows up to the end of this statement."""
        for i in range(self.at, len(self.tokens)):
            token = self.tokens[i]
            if token.kind in ("RBRACE", EOF) or token.text == ";" or token.start in self.ends:
                return True
            if token.kind not in (COMMENT, END):
                return False
        return True

    def part(self) -> list[Part]:
        """The next part of a statement; newlines within it are none."""
        token = self.token
        if token.kind == "LBRACE":
            return [self.block()]
        self.at += 1
        if token.kind == END:
            return []
        if token.kind == COMMENT:
            return [Comment(token.text.rstrip(), self.tokens[self.at - 2].kind == END)]
        return [token]

    def block(self) -> Block:
        self.at += 1
        begin, comment = self.at, None
        if self.token.kind == COMMENT:
            comment = self.token.text.rstrip()
            self.at += 1
        lines = self.lines()
        inside = self.tokens[begin : self.at]
        self.at += 1
        one_line = not any(t.kind == COMMENT or (t.kind == END and t.text != ";") for t in inside)
        return Block(one_line, bool(inside) and inside[-1].kind != END, comment, lines)


def trailing(line: Line) -> Line:
    """The line that a comment behind this one is about: of `x = 1 }  # why`, the last inside the block."""
    last = line.statements[-1][-1] if line.statements else None
    if isinstance(last, Block) and last.hugs and not last.one_line and last.lines and not last.lines[-1].comment:
        return trailing(last.lines[-1])
    return line
