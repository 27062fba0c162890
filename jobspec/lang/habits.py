"""Habits from other languages, and what to write here.

Takes: a mistake. Promises: a Diagnostic if the text is such a habit, else None.
"""

from __future__ import annotations

from itertools import pairwise

from jobspec.lang.diagnostics import Diagnostic
from jobspec.lang.mistake import Mistake
from jobspec.lang.source import Span
from jobspec.lang.tokens import END

LOOPS = "`repeat L { }` repeats a block, `scan T (h = …) { }` goes along an axis"
PLAIN = "a value is named by `x = …` alone"
WORDS = {
    "return": "the last statement of a block is its value: write it alone",
    "for": LOOPS,
    "while": f"nothing loops without end here; {LOOPS}",
    "let": PLAIN,
    "var": PLAIN,
    "const": PLAIN,
    "val": PLAIN,
    "fn": "a function is a `def`, at the top level",
    "func": "a function is a `def`, at the top level",
    "function": "a function is a `def`, at the top level",
    "lambda": "a function is a `def` with a name, at the top level",
    "class": "what has parameters is a `layer`",
    "elif": "write `else if`",
    "from": "write `import std.nn` or `import b3:… as x`",
    "print": "a run shows loss and metrics by itself: name what you want to see in `eval { }`",
    "assert": "sizes are checked at compile time, indices while the job runs",
}
AFTER_NAME = ("EQUAL", "BECOMES", "COLON", "COMMA", "DOT", "LPAR", "LSQB")
DOUBLED = {"*": "a power is written `x^2`", "/": "a comment starts with `#`; a quotient is `a/b`", "|": "write `or`"}
BLOCKS = ("IF", "ELSE", "REPEAT", "PHASE", "SCAN")


def foreign_word(m: Mistake) -> Diagnostic | None:
    pairs = list(pairwise((*m.statement, m.token)))
    for word, after in [*pairs[-1:], *pairs[:1]]:
        if word.kind == "NAME" and word.text in WORDS and after.kind not in AFTER_NAME:
            message = f"`{word.text}` is not a word of this language"
            return Diagnostic("E0123", message, m.place(word), help=WORDS[word.text])
    return None


def colon_for_block(m: Mistake) -> Diagnostic | None:
    """`def f(x):`, `if c:` and the like."""
    opens = m.token.kind == "COLON" and "LBRACE" in m.want
    after_name = m.before.kind == "COLON" and m.token.kind == END and m.first.kind in BLOCKS
    if not opens and not after_name:
        return None
    colon = m.place(m.token if opens else m.before)
    what = m.expectation if opens else "`{`"
    help = "blocks stand in `{ }`; indentation means nothing"
    return Diagnostic("E0101", f"expected {what}, found `:`", colon, help=help)


def assignment_operator(m: Mistake) -> Diagnostic | None:
    """x += 1"""
    adjacent = m.before.end == m.token.start and m.before.kind in ("PLUS", "MINUS", "TIMES", "POWER")
    if m.token.kind != "EQUAL" or not adjacent:
        return None
    name, op = m.first.text, m.before.text
    help = f"write `{name} = {name} {op} …` (a new value) or `{name} := {name} {op} …` (a state)"
    return Diagnostic("E0104", f"`{op}=` means nothing here", Span(m.source, m.before.start, m.token.end), help=help)


def doubled(m: Mistake) -> Diagnostic | None:
    """x ** 2, // a comment, a || b"""
    pairs = ((m.before, m.token), (m.token, m.after))
    pair = next((p for p in pairs if p[0].text == p[1].text in DOUBLED and p[0].end == p[1].start), None)
    if not pair:
        return None
    both = Span(m.source, pair[0].start, pair[1].end)
    text, help = pair[0].text, DOUBLED[pair[0].text]
    return Diagnostic("E0104", f"`{text}{text}` means nothing here", both, help=help)


def semicolon_in_brackets(m: Mistake) -> Diagnostic | None:
    if m.token.text != ";" or m.token.depth <= m.first.depth:
        return None
    message = f"expected {m.expectation}, found {m.found}"
    help = "`;` ends a statement, but a bracket is still open; parts are separated by `,`"
    return Diagnostic("E0101", message, m.span, help=help)


HABITS = (foreign_word, colon_for_block, assignment_operator, doubled, semicolon_in_brackets)
