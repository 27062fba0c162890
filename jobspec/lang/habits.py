"""Habits from other languages, and what to write here.

Takes: a mistake. Promises: a Diagnostic if the text is such a habit, else None.
"""

from __future__ import annotations

import re
from itertools import pairwise

from jobspec.lang.diagnostics import Diagnostic, Edit
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
THOUSANDS = re.compile(r"\d{3}")
SEVERAL = "several values stand in brackets, `[a, b]`; `a, b = f(x)` takes them"
DOUBLED = {"*": "a power is written `x^2`", "/": "a comment starts with `#`; a quotient is `a/b`", "|": "write `or`"}
BLOCK_COLON = "blocks stand in `{ }`; indentation means nothing"
BRACE_BELOW = "the `{` stands on the same line: a line that could end does end"
BRACE_IN_VALUE = "axes stand in `[ ]`, arguments in `( )`: `mean[B](x)`, `adam(lr=.1)`"
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
    return Diagnostic("E0101", f"expected {what}, found `:`", colon, help=BLOCK_COLON)


def brace_below(m: Mistake) -> Diagnostic | None:
    """`layer net(x)` and the brace on the next line."""
    if not m.at_line_end or "LBRACE" not in m.want or m.after.kind != "LBRACE":
        return None
    return Diagnostic("E0101", f"expected {m.expectation}, found {m.found}", m.span, help=BRACE_BELOW)


def brace_in_value(m: Mistake) -> Diagnostic | None:
    """`adam({lr: .1})`, `mean{B}(x)`"""
    behind = m.source.text[: m.token.start].rstrip()[-1:]
    called = m.token.kind == "LBRACE" and m.before.kind == "NAME" and "LPAR" in m.want
    if m.token.kind != "LBRACE" or not (called or behind in ("(", "[", ",")):
        return None
    return Diagnostic("E0101", "braces hold statements; no value is written with them", m.span, help=BRACE_IN_VALUE)


def choice_reversed(m: Mistake) -> Diagnostic | None:
    """lr = if step < 10 .1 else .2"""
    if m.token.kind != "IF" or m.before.kind not in ("EQUAL", "LPAR", "COMMA", "BECOMES") or "NUMBER" not in m.want:
        return None
    message = f"expected {m.expectation}, found {m.found}"
    return Diagnostic("E0101", message, m.span, help="the condition stands in the middle: `.1 if step < 10 else .2`")


def grouped_digits(m: Mistake) -> Diagnostic | None:
    """steps = 1,000"""
    joined = m.before.end == m.token.start and m.token.end == m.after.start
    if m.token.kind != "COMMA" or not m.before.text.isdigit() or not THOUSANDS.fullmatch(m.after.text) or not joined:
        return None
    number = Span(m.source, m.before.start, m.after.end)
    digits = f"{m.before.text}_{m.after.text}"
    return Diagnostic("E0105", "a number has no commas", number, help=f"write `{digits}`", edit=Edit(number, digits))


def many_quotes(m: Mistake) -> Diagnostic | None:
    if m.token.kind != "STRING" or m.before.text != '""' or m.before.end != m.token.start:
        return None
    span = Span(m.source, m.before.start, m.token.end)
    return Diagnostic("E0106", "a text stands in one pair of quotes", span, help=f"write `{m.token.text}`")


def size_as_argument(m: Mistake) -> Diagnostic | None:
    """`argmax(x, dim=1)`: `dim` is a word of the language."""
    if m.token.kind != "DIM" or m.after.kind != "EQUAL" or m.before.kind not in ("LPAR", "COMMA"):
        return None
    message = "a function takes its axes in a bracket, by name"
    return Diagnostic("E0107", message, m.span, help="as in `max[T](x)`: the bracket stands before the parenthesis")


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


def bare_tuple(m: Mistake) -> Diagnostic | None:
    """`(a, b)`, and `a, b` as the value of a block."""
    comma = m.token.kind == "COMMA" and "TIMES" in m.want and bool(m.want & {"RPAR", END})
    names = m.at_line_end and "EQUAL" in m.want and any(token.kind == "COMMA" for token in m.statement)
    if not comma and not names:
        return None
    return Diagnostic("E0101", f"expected {m.expectation}, found {m.found}", m.span, help=SEVERAL)


def semicolon_in_brackets(m: Mistake) -> Diagnostic | None:
    if m.token.text != ";" or m.token.depth <= m.first.depth:
        return None
    message = f"expected {m.expectation}, found {m.found}"
    help = "`;` ends a statement, but a bracket is still open; parts are separated by `,`"
    return Diagnostic("E0101", message, m.span, help=help)


HABITS = (
    foreign_word,
    colon_for_block,
    brace_below,
    brace_in_value,
    choice_reversed,
    grouped_digits,
    many_quotes,
    size_as_argument,
    assignment_operator,
    doubled,
    semicolon_in_brackets,
    bare_tuple,
)
