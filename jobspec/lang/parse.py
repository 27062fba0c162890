"""Text to tree.

Takes: a source. Promises: the tree of the whole file, or a DiagnosticsError with every independent syntax error: where
a statement cannot be read it is reported, BROKEN stands in its place, and reading goes on behind it. The parser keeps
its own stack, so no text can exhaust Python's; a tree deeper than MAX_DEPTH is an error (E0109), so that no later stage
that walks it can either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jobspec.lang import tree
from jobspec.lang.builder import Builder, Passing
from jobspec.lang.consequences import drop_consequences
from jobspec.lang.diagnostics import Reporter
from jobspec.lang.grammar import Rule, load_table
from jobspec.lang.lalr import accepts
from jobspec.lang.layout import NEVER_STARTS, lay_out
from jobspec.lang.mistake import Mistake
from jobspec.lang.rules import RULES
from jobspec.lang.source import Source, Span
from jobspec.lang.syntax_errors import report_mistake
from jobspec.lang.tokens import BROKEN, END, EOF, Token, tokenize

MAX_DEPTH = 100
# One level of the tree is at most seven symbols on the stack (`if a { b; c = scan T (…) {`).
MAX_STACK = 7 * MAX_DEPTH


def parse(source: Source) -> tree.Job:
    """The tree of a job or library (DiagnosticsError if it has syntax errors)."""
    reporter = Reporter()
    job = read(source, reporter)
    reporter.stop_if_any()
    assert isinstance(job, tree.Job)
    return job


def read(source: Source, reporter: Reporter) -> tree.Job | None:
    """What can be read of a text: its tree without the statements that are reported, None where nothing can.

    Raises DiagnosticsError where the text nests too deep.
    """
    tokens = lay_out(source, tokenize(source, reporter), reporter)
    job = Parser(Builder(source, reporter), tokens).run()
    drop_consequences(reporter)
    return job if isinstance(job, tree.Job) else None


class Entry(NamedTuple):
    """One symbol on the stack: the state behind it, its value, the characters it covers, how deep its tree is."""

    state: int
    value: Any
    start: int
    end: int
    depth: int


@dataclass(frozen=True)
class Splice:
    """Children of a helper rule (`x*`, `_x`), which stand for themselves in the parent."""

    children: list[Any]


class Resume(NamedTuple):
    """A place to go on from: the height of the stack before a statement, and the bracket depth it stands at."""

    height: int
    depth: int


@dataclass
class Parser:
    """A run of the LALR table over tokens."""

    builder: Builder
    tokens: Sequence[Token]
    at: int = 0
    stack: list[Entry] = field(default_factory=list)
    resume: list[Resume] = field(default_factory=list)

    def run(self) -> Any:
        table = load_table()
        self.stack = [Entry(table.start, None, 0, 0, 0)]
        self.resume = [Resume(1, 0)]
        self.begin()
        while self.at < len(self.tokens):
            self.step(self.tokens[self.at])
        return self.stack[-1].value

    def begin(self) -> None:
        """A file without its first line is one error, not the end."""
        first = self.tokens[0]
        if first.kind not in ("JOB", "LIBRARY"):
            self.report(first)
            self.feed(Token(BROKEN, "", first.start, first.start))
            if first.kind not in (END, EOF):
                self.feed(Token(END, "", first.start, first.start))

    def step(self, token: Token) -> None:
        if token.kind != BROKEN and self.feed(token):
            self.at += 1
        else:
            self.recover(token)

    def feed(self, token: Token) -> bool:
        """Reduces as the token allows, then shifts it; False, and nothing changed, where it cannot stand here."""
        if not accepts([entry.state for entry in self.stack], token.kind):
            return False
        table = load_table()
        while (action := table.states[self.stack[-1].state].get(token.kind, 0)) < 0:
            self.reduce(table.rules[~action])
        self.shift(token, action)
        return True

    def shift(self, token: Token, state: int) -> None:
        if token.kind == EOF:
            return
        self.stack.append(Entry(state, token, token.start, token.end, 0))
        self.check_depth(len(self.stack) <= MAX_STACK, token.start)
        if token.kind == "LBRACE":
            self.resume.append(Resume(len(self.stack), token.depth + 1))
        elif token.kind == "RBRACE":
            self.resume.pop()
        elif token.kind == END:
            self.resume[-1] = Resume(len(self.stack), token.depth)

    def reduce(self, rule: Rule) -> None:
        """Replaces the symbols of the rule on the stack by its head."""
        parts = self.stack[-rule.size :]
        del self.stack[-rule.size :]
        made = parts[0] if rule.single and rule.size == 1 else self.made(rule, parts)
        state = load_table().states[self.stack[-1].state][rule.head]
        self.stack.append(Entry(state, made.value, made.start, made.end, made.depth))

    def made(self, rule: Rule, parts: Sequence[Entry]) -> Entry:
        """The entry of a rule's head, its state yet to come."""
        children, start, end = spliced(parts, rule), parts[0].start, parts[-1].end
        depth = max([part.depth for part in parts])
        if rule.splice:
            return Entry(0, Splice(children), start, end, depth)
        value = RULES[rule.name](self.builder, children, Span(self.builder.source, start, end))
        if isinstance(value, tree.Node) and not isinstance(value, Passing) and rule.name != "paren":
            depth += 1
            self.check_depth(depth <= MAX_DEPTH, start)
        return Entry(0, value, start, end, depth)

    def check_depth(self, holds: bool, start: int) -> None:
        if not holds:
            message = f"this is nested more than {MAX_DEPTH} deep"
            help = "give a part of it a name (`x = …`) and use the name"
            span = Span(self.builder.source, start, start + 1)
            self.builder.reporter.error("E0109", message, span, help=help)
            self.builder.reporter.stop()

    def recover(self, token: Token) -> None:
        """Drops the statement that `token` cannot stand in, with all of its text, and goes on behind it."""
        self.report(token)
        height, depth = self.resume[-1]
        del self.stack[height:]
        while not ends_statement(self.tokens[self.at], depth):
            self.at += 1
        self.feed(Token(BROKEN, "", token.start, token.start))
        if self.tokens[self.at].kind == END and self.tokens[self.at + 1].kind in NEVER_STARTS:
            self.at += 1

    def report(self, token: Token) -> None:
        if not self.reported_already():
            states = [entry.state for entry in self.stack]
            report_mistake(Mistake(self.builder.source, self.tokens, self.at, states), self.builder.reporter)


    def reported_already(self) -> bool:
        """Whether the rest of this statement, up to a block, holds something that was reported as no token."""
        for i in range(self.at, len(self.tokens)):
            token = self.tokens[i]
            if token.kind == BROKEN:
                return True
            if token.kind == "LBRACE" or ends_statement(token, self.resume[-1].depth):
                return False
        return False


def ends_statement(token: Token, depth: int) -> bool:
    """Whether a statement at this depth of brackets cannot go on behind the token."""
    if token.kind == END:
        return token.depth <= depth
    return token.kind == EOF or (token.kind == "RBRACE" and token.depth < depth)


def spliced(parts: Sequence[Entry], rule: Rule) -> list[Any]:
    """The children that a rule keeps; lists made by helper rules stand for their elements."""
    children: list[Any] = []
    for i in rule.keep:
        value = parts[i].value
        children += value.children if isinstance(value, Splice) else [value]
    return children
