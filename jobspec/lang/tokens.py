"""Text to tokens.

Takes: a source. Promises: every token of it, comments and newlines included, with kinds and patterns as grammar.lark
states them; what is no token becomes one of kind BROKEN and is reported (E0104 to E0106, E0113, E0114).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from jobspec.lang.diagnostics import Reporter
from jobspec.lang.grammar import Terminal, load_table
from jobspec.lang.source import Source

END, BROKEN, COMMENT, EOF = "_END", "BROKEN", "COMMENT", "$END"


class Token(NamedTuple):
    """A piece of text from `start` to `end`; `depth`: how many brackets are open around it (set by the layout)."""

    kind: str
    text: str
    start: int
    end: int
    depth: int = 0


@cache
def words() -> dict[str, str]:
    """Reserved words and their kinds."""
    return {t.pattern: t.name for t in load_table().terminals if t.exact and t.pattern.isalpha()}


@cache
def master() -> re.Pattern[str]:
    """One pattern for all tokens: patterns first, then exact texts, the longest first."""
    terminals = load_table().terminals
    exact = sorted((t for t in terminals if t.exact and not t.pattern.isalpha()), key=lambda t: -len(t.pattern))
    return re.compile("|".join(group(t) for t in [*(t for t in terminals if not t.exact), *exact]), re.ASCII)


def group(terminal: Terminal) -> str:
    pattern = re.escape(terminal.pattern) if terminal.exact else terminal.pattern
    return f"(?P<{terminal.name}>{pattern})"


def tokenize(source: Source, reporter: Reporter) -> list[Token]:
    """All tokens but blanks, in the order of the text."""
    return [token for token in pieces(source, reporter) if token.kind != "BLANK"]


def pieces(source: Source, reporter: Reporter) -> Iterator[Token]:
    text, at, after_dot = source.text, 0, False
    match = master().match
    while at < len(text):
        found = match(text, at)
        token = named(found, after_dot) if found else broken(source, at, reporter)
        yield token
        at = token.end
        after_dot = token.kind == "DOT"


def named(found: re.Match[str], after_dot: bool) -> Token:
    """A word is reserved unless it stands behind a dot."""
    kind, text = str(found.lastgroup), found[0]
    if kind == "NAME" and not after_dot:
        kind = words().get(text, kind)
    return Token(kind, text, found.start(), found.end())


# What people write that is no token: the pattern, and what to say about it.
MISTAKES: tuple[tuple[re.Pattern[str], str, str, str], ...] = tuple(
    (re.compile(pattern), code, message, help)
    for pattern, code, message, help in (
        (
            r'"[^"\r\n]*',
            "E0106",
            "this text has no closing quote",
            'close it with `"` on the same line; there are no escapes, so a text cannot hold a quote or a newline',
        ),
        (
            r"'([^'\r\n]*)'?",
            "E0106",
            "text stands in double quotes",
            'write `"{1}"`; a single quote only follows an axis name, as in `I\'`',
        ),
        (
            r"b3:[0-9A-Za-z_]*",
            "E0114",
            "`{0}` is not a content hash",
            "a hash is `b3:` and 8 to 64 digits 0-9 a-f in lower case; `jobspec data ls` prints them",
        ),
        (
            r"[A-Z][A-Za-z0-9_]*'*[A-Za-z0-9_']*",
            "E0113",
            "`{0}` is not an axis name",
            "an axis has an upper-case letter, then letters and digits, then primes: `B`, `Ky`, `I'`",
        ),
        (
            r"[a-z_][A-Za-z0-9_]*'+",
            "E0113",
            "only an axis takes a prime: `{0}`",
            "axes start uppercase (`I'`), values lowercase; call this value `{stem}2` or the like",
        ),
        (
            r"0[xXbBoO][0-9A-Za-z_]+",
            "E0105",
            "numbers are decimal: `{0}`",
            "write {decimal}",
        ),
        (
            r"\d[\w.]*|\.\d\w*",
            "E0105",
            "`{0}` is not a number",
            "numbers look like `7`, `.5`, `1e-8`, `1.2M` (k M G T: powers of ten), `4Ki` (Ki Mi Gi Ti: of two)",
        ),
        (r"&&?", "E0104", "`{0}` means nothing here", "write `and`"),
        (r"!", "E0104", "`{0}` means nothing here", "write `not`"),
        (r"\?", "E0104", "`{0}` means nothing here", "write `a if c else b`; on tensors, `select(c, a, b)`"),
        (r"\\", "E0104", "`{0}` means nothing here", "a statement goes on after an operator, a comma and in brackets"),
    )
)


def broken(source: Source, at: int, reporter: Reporter) -> Token:
    """Reports the piece at `at`, which no terminal matches."""
    for pattern, code, message, help in MISTAKES:
        if found := pattern.match(source.text, at):
            report(source, found, code, message, help, reporter)
            return Token(BROKEN, found[0], found.start(), found.end())
    return strange(source, at, reporter)


def report(source: Source, found: re.Match[str], code: str, message: str, help: str, reporter: Reporter) -> None:
    fields = {"stem": found[0].rstrip("'"), "decimal": decimal(found[0])}
    groups = [found[0], *(g or "" for g in found.groups())]
    span = source.span(found.start(), found.end())
    reporter.error(code, message.format(*groups, **fields), span, help=help.format(*groups, **fields))


def decimal(text: str) -> str:
    try:
        return f"`{int(text, 0)}`"
    except ValueError:
        return "the value in digits 0 to 9"


def strange(source: Source, at: int, reporter: Reporter) -> Token:
    """A character of no token; a run of them is one error."""
    end = at + 1
    while end < len(source.text) and (source.text[end].isalnum() or unknown(source.text, end)):
        end += 1
    char = source.text[at]
    name = unicodedata.name(char, "a control character").lower()
    shown = f"`{char}` ({name})" if char.isprintable() else f"character U+{ord(char):04X}"
    meant = PLAIN.get(char)
    help = f"write `{meant}`" if meant else "outside of comments and quoted texts a job is plain ASCII"
    reporter.error("E0104", f"{shown} means nothing here", source.span(at, end), help=help)
    return Token(BROKEN, source.text[at:end], at, end)


#: signs of word processors → those of the keyboard
PLAIN = {
    **dict.fromkeys("−–—", "-"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("×·∙", "*"),
    **{"÷": "/", "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "…": "..", "π": "pi", "√": "sqrt(x)", "∞": "inf"},
}


def unknown(text: str, at: int) -> bool:
    return not text[at].isspace() and not master().match(text, at)
