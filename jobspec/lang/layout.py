"""Which newlines end a statement, and which bracket belongs to which.

Takes: all tokens of a source. Promises: the tokens that the grammar speaks of: comments gone, a newline kept only where
it ends a statement, every bracket closed (what the text leaves open is reported, E0102 or E0103, and closed where the
indentation says, so that what follows is still read), the depth of brackets on each token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobspec.lang.diagnostics import Edit, Reporter
from jobspec.lang.source import Source
from jobspec.lang.tokens import BROKEN, COMMENT, END, EOF, Token

CLOSER = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
OPENER = {closer: opener for opener, closer in CLOSER.items()}
OTHER = {"RPAR": "RSQB", "RSQB": "RPAR"}
TEXT = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}

# A newline after one of these goes on with the statement.
GOES_ON = frozenset({
    "COMPARE", "PLUS", "MINUS", "TIMES", "POWER", "EQUAL", "BECOMES", "COMMA", "ARROW", "VBAR", "TILDE", "RANGE", "DOT",
    "AND", "OR", "NOT", "ELSE", "LBRACE",
})
NEVER_STARTS = ("RBRACE", "ELSE", EOF)
MOST_BROKEN = 32


@dataclass
class Layout:
    """One walk over the tokens. `missing[i]`: brackets (indices of openers) that are to be closed before token i."""

    source: Source
    tokens: Sequence[Token]
    missing: dict[int, list[int]]
    out: list[Token] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)
    mistaken: list[tuple[int, int]] = field(default_factory=list)
    unclosed: int | None = None
    found_at: int = 0

    def walk(self) -> None:
        """Fills `out`, or stops at the first bracket that stays open and names it in `unclosed`."""
        for i, token in enumerate(self.tokens):
            self.close_missing(i)
            self.take(i, token)
            if self.unclosed is not None:
                self.found_at = i
                return
        self.found_at = len(self.tokens)
        self.close_missing(self.found_at)
        if self.open:
            self.unclosed = self.outermost() if self.in_brackets else self.open[-1]

    def take(self, i: int, token: Token) -> None:
        if token.kind == "LBRACE" and self.in_brackets:
            self.unclosed = self.outermost()
        elif token.kind in CLOSER:
            self.emit(token)
            self.open.append(i)
        elif token.kind in OPENER:
            self.close(i, token)
        elif token.kind == END:
            self.end_statement(i, token)
        elif token.kind != COMMENT:
            self.emit(token)

    def emit(self, token: Token) -> None:
        self.out.append(token._replace(depth=len(self.open)))

    def close(self, i: int, token: Token) -> None:
        if not self.open:
            self.extra.append(i)
        elif self.tokens[self.open[-1]].kind == OPENER[token.kind]:
            self.pairs.append((self.open.pop(), i))
            self.emit(token)
        elif not self.in_brackets:
            self.extra.append(i)
        elif token.kind == "RBRACE":
            self.unclosed = self.outermost()
        elif any(self.tokens[o].kind == OPENER[token.kind] for o in self.brackets()):
            self.unclosed = self.open[-1]
        else:
            self.mistaken.append((self.open.pop(), i))
            self.emit(token._replace(kind=OTHER[token.kind]))

    @property
    def in_brackets(self) -> bool:
        """Whether ( or [ is the innermost that is open."""
        return bool(self.open) and self.tokens[self.open[-1]].kind != "LBRACE"

    def brackets(self) -> list[int]:
        """The ( and [ that are open in this statement, the outermost first."""
        braces = [n for n, o in enumerate(self.open) if self.tokens[o].kind == "LBRACE"]
        return self.open[braces[-1] + 1 if braces else 0 :]

    def outermost(self) -> int:
        return self.brackets()[0]

    def close_missing(self, i: int) -> None:
        """Closes what an earlier walk found open before token i."""
        for opener in self.missing.get(i, ()):
            while opener in self.open:
                self.close_for_user(self.tokens[self.open.pop()].kind)
                if self.following(i - 1) not in NEVER_STARTS:
                    self.out.append(Token(END, "", self.out[-1].end, self.out[-1].end, len(self.open)))

    def close_for_user(self, kind: str) -> None:
        """The statements of an open block are kept, a statement with an open ( or [ is lost."""
        at = self.out[-1].end
        if kind != "LBRACE":
            self.emit(Token(BROKEN, "", at, at))
        elif self.out[-1].kind == END:
            self.out.pop()
        self.emit(Token(CLOSER[kind], "", at, at))

    def end_statement(self, i: int, token: Token) -> None:
        last = self.out[-1].kind if self.out else END
        if token.text == ";":
            silent = last in (END, "LBRACE")
        else:
            silent = self.in_brackets or last == END or last in GOES_ON or self.out[-1].text == "\\"
        if not silent and (last in GOES_ON or self.following(i) not in NEVER_STARTS):
            self.emit(token)

    def following(self, i: int) -> str:
        """The kind of the next token that is neither comment nor newline."""
        for j in range(i + 1, len(self.tokens)):
            if self.tokens[j].kind not in (COMMENT, END):
                return self.tokens[j].kind
        return EOF


def lay_out(source: Source, tokens: Sequence[Token], reporter: Reporter) -> list[Token]:
    """The tokens of the grammar, EOF last."""
    missing: dict[int, list[int]] = {}
    layout = Layout(source, tokens, missing)
    layout.walk()
    while layout.unclosed is not None:
        repair(layout, missing, reporter)
        layout = Layout(source, tokens, missing)
        layout.walk()
    report_extra(layout, reporter)
    size = len(source.text)
    return [*layout.out, Token(EOF, "", size, size)]


def repair(layout: Layout, missing: dict[int, list[int]], reporter: Reporter) -> None:
    """Reports the bracket that stays open and notes where it is to be closed."""
    opener = layout.unclosed
    assert opener is not None
    suspect = misindented(layout, opener)
    opener, end = suspect or (opener, min(resume_at(layout, opener), layout.found_at))
    report_unclosed(layout, opener, end, bool(suspect), reporter)
    if sum(map(len, missing.values())) >= MOST_BROKEN:
        reporter.stop()
    missing.setdefault(end, []).append(opener)


def resume_at(layout: Layout, opener: int) -> int:
    """The first token behind the opener that starts a line no further in than the opener's line."""
    limit = indent(layout.source, layout.tokens[opener])
    for i in range(opener + 1, len(layout.tokens)):
        token = layout.tokens[i]
        begins = token.kind not in (END, COMMENT, "RBRACE") and starts_line(layout.source, token)
        if begins and indent(layout.source, token) <= limit:
            return i
    return len(layout.tokens)


def misindented(layout: Layout, opener: int) -> tuple[int, int] | None:
    """Inside of an open brace, the first pair whose closing line is not indented like its opening line."""
    if layout.tokens[opener].kind != "LBRACE":
        return None
    for start, end in sorted(layout.pairs):
        a, b = layout.tokens[start], layout.tokens[end]
        inner = start > opener and a.kind == "LBRACE" and starts_line(layout.source, b)
        if inner and indent(layout.source, a) != indent(layout.source, b):
            return start, end
    return None


def report_unclosed(layout: Layout, opener: int, end: int, misindented: bool, reporter: Reporter) -> None:
    token, place = layout.tokens[opener], layout.source.span
    inner = [layout.tokens[i] for i in layout.open if opener < i < end and token.kind != "LBRACE"]
    labels = [(place(t.start, t.end), "nor this") for t in inner[:2]]
    if misindented:
        closer = layout.tokens[end]
        labels = [(place(closer.start, closer.end), "this closes it, but is not indented like it")]
    message, help = f"this `{token.text}` is never closed", f"add `{TEXT[CLOSER[token.kind]]}` where it ends"
    reporter.error("E0102", message, place(token.start, token.end), "opened here", labels, help=help)


def report_extra(layout: Layout, reporter: Reporter) -> None:
    for i in layout.extra:
        token = layout.tokens[i]
        span = layout.source.span(token.start, token.end)
        message = f"this `{TEXT[token.kind]}` closes nothing"
        reporter.error("E0103", message, span, help=f"remove it, or add the `{TEXT[OPENER[token.kind]]}` it belongs to")
    for start, end in layout.mistaken:
        report_mistaken(layout, layout.tokens[start], layout.tokens[end], reporter)


def report_mistaken(layout: Layout, opener: Token, closer: Token, reporter: Reporter) -> None:
    opening, closing = (layout.source.span(token.start, token.end) for token in (opener, closer))
    right = TEXT[CLOSER[opener.kind]]
    message = f"`{closer.text}` does not close `{opener.text}`"
    reporter.error(
        "E0103", message, closing, labels=[(opening, "opened here")], help=f"write `{right}`", edit=Edit(closing, right)
    )


def starts_line(source: Source, token: Token) -> bool:
    line_start = source.line_starts[source.span(token.start, token.end).line - 1]
    return not source.text[line_start : token.start].strip(" \t\ufeff")


def indent(source: Source, token: Token) -> int:
    """How far in the line of a token begins; a tab counts as one column."""
    line = source.line(source.span(token.start, token.end).line)
    return len(line) - len(line.lstrip(" \t\ufeff"))
