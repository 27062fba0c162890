"""The one formatter.

Takes: a source. Promises: the same tree and the same comments in one style without options; formatting again
changes nothing. Two blanks a level; lines of at most 120 characters where that is possible; one statement a line,
but `a; b` and `{ a; b }` stay on one line if the author wrote them so and they fit; comments behind neighbouring lines
in one column. A source with errors is refused (DiagnosticsError).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jobspec.lang.breaking import CONTINUED, LIMIT, Word, broken_lines, joined
from jobspec.lang.columns import Row, in_columns
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.layout import lay_out
from jobspec.lang.lines import Block, Comment, Line, Part, Reader, Statement
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.lang.spacing import Spacing
from jobspec.lang.tokens import END, EOF, Token, tokenize

STEP = "  "


def format_source(source: Source) -> str:
    """The text in the one style, with a newline at its end (DiagnosticsError if it does not parse)."""
    job = parse(source)
    everything = tokenize(source, Reporter())
    tokens = lay_out(source, everything, Reporter())
    placed = {token.start: token for token in tokens if token.kind != EOF}
    ends = {token.start for token in tokens if token.kind == END}
    lines = Reader([*(placed.get(token.start, token) for token in everything), tokens[-1]], ends).lines()
    text = "\n".join(in_columns(Printer(Spacing.of(job, tokens)).body(lines, ""))) + "\n"
    assert parse(Source(source.name, text)) == job, "the formatter would change what the job says"
    return text


@dataclass(frozen=True)
class Printer:
    """Lines of tokens to lines of text, with their comments still apart."""

    spacing: Spacing

    def body(self, lines: Sequence[Line], pad: str) -> list[Row]:
        out: list[Row] = []
        for i, line in enumerate(lines):
            out += [Row("")] if line.blank_before and i else []
            out += self.line(line, pad)
        return out

    def line(self, line: Line, pad: str) -> list[Row]:
        if not line.statements:
            return [Row(f"{pad}{line.comment}")]
        rows = [self.statement(statement, pad) for statement in line.statements]
        together = "; ".join(row[0].text.strip() for row in rows)
        if all(len(row) == 1 for row in rows) and len(pad + together) <= LIMIT:
            rows = [[Row(pad + together)]]
        return with_comment([part for row in rows for part in row], line.comment)

    def statement(self, statement: Statement, pad: str) -> list[Row]:
        if all(is_flat(part) for part in statement):
            fits = len(pad + self.flat(statement)) <= LIMIT
            if fits or not any(isinstance(part, Block) for part in statement):
                return [Row(text) for text in broken_lines(self.words(statement), pad, pad)]
        return self.tall(statement, pad)

    def flat(self, statement: Statement) -> str:
        """The statement on one line (no comments in it)."""
        return joined(self.words(statement))

    def flat_block(self, block: Block) -> str:
        statements = [self.flat(statement) for line in block.lines for statement in line.statements]
        return f"{{ {'; '.join(statements)} }}" if statements else "{}"

    def words(self, parts: Sequence[Part]) -> list[Word]:
        """Tokens and one-line blocks as words that a line may be broken between."""
        before: Token | None = None
        words: list[Word] = []
        for part in parts:
            if isinstance(part, Block):
                words.append(Word(self.flat_block(part), " "))
                before = None
            elif isinstance(part, Token):
                words.append(self.word(before, part))
                before = part
        return words

    def word(self, before: Token | None, token: Token) -> Word:
        space = self.spacing.between(before, token) if before else " "
        close = token.start in self.spacing.tight or token.start in self.spacing.signs
        return Word(token.text, space, token.depth, "" if close else token.kind)

    def tall(self, statement: Statement, pad: str) -> list[Row]:
        """The statement with its blocks on lines of their own."""
        out: list[Row] = []
        previous: Block | Comment | None = None
        for run, after in chunks(statement):
            out += self.chunk(run, previous, after, pad)
            previous = after
        return out

    def chunk(
        self, run: Sequence[Token], previous: Block | Comment | None, after: Block | Comment | None, pad: str
    ) -> list[Row]:
        """A run of tokens between blocks and comments, and the block or comment behind it."""
        closing = [Word("}")] if isinstance(previous, Block) else []
        opening = [Word("{", " ")] if isinstance(after, Block) else []
        goes_on = isinstance(previous, Comment) and run and run[0].kind != "ELSE"
        words = [*closing, *self.words(run), *opening]
        lines = [Row(text) for text in broken_lines(words, pad, pad + CONTINUED if goes_on else pad)]
        if isinstance(after, Block):
            return [*with_comment(lines, after.comment), *self.body(after.lines, pad + STEP)]
        if isinstance(after, Comment) and after.own_line:
            return [*lines, Row(f"{pad}{CONTINUED}{after.text}")]
        return with_comment(lines, after.text if isinstance(after, Comment) else None)


def with_comment(rows: list[Row], comment: str | None) -> list[Row]:
    return [*rows[:-1], replace(rows[-1], comment=comment)] if comment else rows


def is_flat(part: Part) -> bool:
    """Whether the part can stand on one line."""
    if isinstance(part, Block):
        return part.one_line or not (part.lines or part.comment)
    return isinstance(part, Token)


def chunks(statement: Statement) -> Iterator[tuple[list[Token], Block | Comment | None]]:
    """Runs of tokens, each with the block or comment behind it."""
    run: list[Token] = []
    for part in statement:
        if isinstance(part, Token):
            run.append(part)
        else:
            yield run, part
            run = []
    if run or isinstance(statement[-1], Block):
        yield run, None
