"""A token that cannot stand where it stands, and the words for what was found and what is expected.

Takes: the tokens, the place, the parser's states. Promises: questions that the reports of syntax errors ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jobspec.lang.grammar import load_table
from jobspec.lang.lalr import expected
from jobspec.lang.source import Source, Span
from jobspec.lang.tokens import END, EOF, Token, words

NO_TOKEN = Token("", "", 0, 0)
VALUE = frozenset(["NUMBER", "STRING", "HASH", "NAME", "AVERAGE", "AXIS", "LPAR", "LSQB", "MINUS", "NOT", "SCAN"])
OPERATOR = frozenset(["COMPARE", "PLUS", "MINUS", "TIMES", "POWER", "AND", "OR", "IF", "LPAR", "LSQB", "DOT"])
PART = frozenset(["IMPORT", "DIM", "NAME"])
STATEMENT = VALUE | {"PARAM", "STATE", "REPEAT", "IF", "PHASE", "UPDATE", "FREEZE", "SHARD"}
STATEMENT_END = frozenset([END, EOF, "RBRACE"])

# What may come next, in words, with a kind that only this gives away: the first that fits stands for all its kinds.
GROUPS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("JOB", "`job NAME`", frozenset(["JOB", "LIBRARY"])),
    ("DIM", "a part of the job", PART),
    ("PARAM", "a statement", STATEMENT),
    ("NUMBER", "a value", VALUE),
    ("TIMES", "an operator", OPERATOR),
    ("AXIS", "an axis", frozenset(["AXIS"])),
    ("NAME", "a name", frozenset(["NAME"])),
    ("STRING", "a text in quotes", frozenset(["STRING"])),
    ("HASH", "a hash", frozenset(["HASH"])),
    (END, "the end of the statement", STATEMENT_END),
    (EOF, "the end of the file", frozenset([EOF])),
)


@dataclass(frozen=True)
class Mistake:
    """Token `at` cannot stand on the stack of `states`."""

    source: Source
    tokens: Sequence[Token]
    at: int
    states: Sequence[int]

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def before(self) -> Token:
        """The token before, or one of no kind."""
        return self.tokens[self.at - 1] if self.at else NO_TOKEN

    @property
    def after(self) -> Token:
        return self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else NO_TOKEN

    @cached_property
    def want(self) -> set[str]:
        """Kinds that could stand here."""
        return expected(self.states)

    @property
    def first(self) -> Token:
        """The token that begins the statement."""
        return self.statement[0] if self.statement else self.token

    @property
    def span(self) -> Span:
        """Of the token; an end of line is shown just behind the last token on it."""
        return self.place(Token("", "", self.before.end, self.before.end) if self.at_line_end else self.token)

    @property
    def at_line_end(self) -> bool:
        """Whether the statement breaks off; newlines before a `}` are no tokens."""
        closes = self.token.kind == "RBRACE" and self.place(self.token).line > self.place(self.before).line
        return bool(self.at) and (closes or (self.token.kind in (END, EOF) and self.token.text != ";"))

    @property
    def found(self) -> str:
        """The token in words."""
        return "the end of the line" if self.at_line_end and self.token.kind != EOF else described(self.token)

    @property
    def expectation(self) -> str:
        """What could stand here, in words; behind a whole value not what would make a name of it."""
        return listed(self.want - {"COLON", "EQUAL", "BECOMES"} if "TIMES" in self.want else self.want)

    def place(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    @property
    def statement(self) -> Sequence[Token]:
        """The tokens of the statement before this one."""
        begin = self.at
        while begin and self.tokens[begin - 1].kind not in (END, "LBRACE", "RBRACE"):
            begin -= 1
        return self.tokens[begin : self.at]


def described(token: Token) -> str:
    if token.kind == EOF:
        return "the end of the file"
    kinds = {"AXIS": "the axis ", "NUMBER": "the number ", "STRING": "the text "}
    return f"{kinds.get(token.kind, '')}`{token.text}`"


def listed(want: set[str]) -> str:
    """Kinds of tokens in words: `a, b or c`."""
    rest, parts = set(want), []
    for sign, text, kinds in GROUPS:
        if sign in rest:
            parts.append(text)
            rest -= kinds
    parts += sorted(f"`{exact()[kind]}`" for kind in rest if kind in exact())
    return ", ".join(parts[:-1]) + (" or " if len(parts) > 1 else "") + parts[-1] if parts else "nothing more"


def exact() -> dict[str, str]:
    """Kinds of tokens that have one text, and that text."""
    return {terminal.name: terminal.pattern for terminal in load_table().terminals if terminal.exact}


def is_word(token: Token) -> bool:
    """Whether the token is a reserved word."""
    return token.kind in words().values()
