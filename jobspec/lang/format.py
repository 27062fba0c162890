"""The one formatter.

Takes: a source. Promises: the same tree and the same comments in one style without options; formatting again
changes nothing. Two blanks a level; lines of at most 110 characters where that is possible; one statement a line,
but `a; b` and `{ a; b }` stay on one line if the author wrote them so and they fit. A source with errors is refused
(DiagnosticsError).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobspec.lang.breaking import CONTINUED, LIMIT, Word, broken_lines, joined
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
    text = "\n".join(Printer(Spacing.of(job, tokens)).body(lines, "")) + "\n"
    assert parse(Source(source.name, text)) == job, "the formatter would change what the job says"
    return text


@dataclass(frozen=True)
class Printer:
    """Lines of tokens to lines of text."""

    spacing: Spacing

    def body(self, lines: Sequence[Line], pad: str) -> list[str]:
        out: list[str] = []
        for i, line in enumerate(lines):
            out += [""] if line.blank_before and i else []
            out += self.line(line, pad)
        return out

    def line(self, line: Line, pad: str) -> list[str]:
        if not line.statements:
            return [f"{pad}{line.comment}"]
        texts = [self.statement(statement, pad) for statement in line.statements]
        together = "; ".join(text[0].strip() for text in texts)
        if all(len(text) == 1 for text in texts) and len(pad + together) <= LIMIT:
            texts = [[pad + together]]
        return with_comment([part for text in texts for part in text], line.comment)

    def statement(self, statement: Statement, pad: str) -> list[str]:
        if all(is_flat(part) for part in statement):
            fits = len(pad + self.flat(statement)) <= LIMIT
            if fits or not any(isinstance(part, Block) for part in statement):
                return broken_lines(self.words(statement), pad, pad)
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

    def tall(self, statement: Statement, pad: str) -> list[str]:
        """The statement with its blocks on lines of their own."""
        out: list[str] = []
        previous: Block | Comment | None = None
        for run, after in chunks(statement):
            out += self.chunk(run, previous, after, pad)
            previous = after
        return out

    def chunk(
        self, run: Sequence[Token], previous: Block | Comment | None, after: Block | Comment | None, pad: str
    ) -> list[str]:
        """A run of tokens between blocks and comments, and the block or comment behind it."""
        closing = [Word("}")] if isinstance(previous, Block) else []
        opening = [Word("{", " ")] if isinstance(after, Block) else []
        goes_on = isinstance(previous, Comment) and run and run[0].kind != "ELSE"
        lines = broken_lines([*closing, *self.words(run), *opening], pad, pad + CONTINUED if goes_on else pad)
        if isinstance(after, Block):
            return [*with_comment(lines, after.comment), *self.body(after.lines, pad + STEP)]
        if isinstance(after, Comment) and after.own_line:
            return [*lines, f"{pad}{CONTINUED}{after.text}"]
        return with_comment(lines, after.text if isinstance(after, Comment) else None)


def with_comment(lines: list[str], comment: str | None) -> list[str]:
    return [*lines[:-1], f"{lines[-1]}  {comment}"] if comment else lines


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
