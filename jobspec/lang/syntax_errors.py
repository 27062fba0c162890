"""The report of a token that cannot stand where it stands.

Takes: a mistake. Promises: one error in plain words. Known mistakes have words of their own: each function below knows
one and gives a Diagnostic, or None; the first that answers is the cause. The rest is E0101: found this, expected that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobspec.lang.diagnostics import Diagnostic, Edit, Reporter
from jobspec.lang.habits import HABITS
from jobspec.lang.hints import of_capital
from jobspec.lang.layout import GOES_ON
from jobspec.lang.mistake import PART, STATEMENT, Mistake, is_word
from jobspec.lang.source import Span

PARTS = "`import`, `dim`, `def`, `layer`, `optim`, `data`, `train`, `eval`, `save`, `run`"
PLACES = {"PARAM": "a `layer { }`", "STATE": "a `layer { }` or an `optim { }`"}
Cause = Callable[[Mistake], Diagnostic | None]


def report_mistake(mistake: Mistake, reporter: Reporter) -> None:
    """Adds the one error that fits best."""
    answers = (cause(mistake) for cause in CAUSES)
    reporter.add(next((answer for answer in answers if answer), None) or unexpected(mistake))


def unexpected(m: Mistake) -> Diagnostic:
    message = f"expected {m.expectation}, found {m.found}"
    return Diagnostic("E0101", message, m.span)


def no_header(m: Mistake) -> Diagnostic | None:
    if "JOB" not in m.want:
        return None
    help = 'begin with `job NAME "what it is"` (or `library NAME`, for a file of functions to import)'
    return Diagnostic("E0116", "a file begins with the name of the job", m.span, help=help)


def part_in_block(m: Mistake) -> Diagnostic | None:
    """`dim`, `import` or a definition inside of { }."""
    defines = m.before.text in ("def", "layer", "optim", "data") and m.before is m.first and m.token.kind == "NAME"
    if defines and m.token.depth:
        message = f"`{m.before.text}` stands at the top level, not in a block"
        return Diagnostic("E0101", message, m.place(m.before), help=f"move `{m.token.text}` out of the `{{ }}`")
    if m.token.kind in PART - {"NAME"} and "PARAM" in m.want:
        message = f"`{m.token.text}` stands at the top level, not in a block"
        return Diagnostic("E0101", message, m.span, help="move it out of the `{ }`")
    return None


def statement_outside(m: Mistake) -> Diagnostic | None:
    """A statement where a part of the job is expected."""
    if m.token.kind in STATEMENT - {"NAME"} and "DIM" in m.want:
        where = PLACES.get(m.token.kind, "a block `{ }`")
        help = f"parts of a job are {PARTS}"
        return Diagnostic("E0101", f"{m.found} belongs in {where}", m.span, help=help)
    if m.token.kind == "EQUAL" and m.before is m.first and not m.token.depth:
        help = f"write `data {m.before.text} = …` for a data set; name other values where they are used, in a block"
        message = f"`{m.before.text} = …` cannot stand at the top level"
        return Diagnostic("E0101", message, m.place(m.before), help=help)
    return None


def reserved_word(m: Mistake) -> Diagnostic | None:
    word = m.before if m.token.kind in ("EQUAL", "BECOMES") and m.before is m.first else m.token
    fits = word is m.before or ("NAME" in m.want and word.kind not in ("ELSE", "IF", "NOT", "AND", "OR"))
    if not is_word(word) or not fits:
        return None
    message = f"`{word.text}` is a word of the language, so it cannot be a name"
    return Diagnostic("E0107", message, m.place(word), help=f"choose another name, such as `my_{word.text}`")


def index_without_axis(m: Mistake) -> Diagnostic | None:
    """x[0], x[-1], x[:2]"""
    if m.before.kind not in ("LSQB", "COMMA") or "AXIS" not in m.want or "NUMBER" in m.want:
        return None
    if m.token.kind not in ("NUMBER", "MINUS", "COLON", "STRING", "LPAR", "RANGE", "RSQB"):
        return None
    help = "`x[T: 0]` is the first along T, `x[T: 1..]` a slice, `mean[T](x)` a reduction over T"
    return Diagnostic("E0119", "what stands in the brackets names its axis", m.span, help=help)


def wrong_case(m: Mistake) -> Diagnostic | None:
    """An axis where a name belongs, or the other way round."""
    text = m.token.text
    if m.token.kind == "AXIS" and "NAME" in m.want and not m.want & {"AXIS", "COLON"}:
        right = of_capital(text) or text[0].lower() + text[1:].rstrip("'")
        message = f"`{text}` starts uppercase, so it is an axis; a name belongs here"
        transposed = text == "T" and m.before.kind == "DOT"
        help = "nothing is transposed: the order of axes has no meaning; rename with `x[T->S]`" if transposed else None
        return Diagnostic("E0117", message, m.span, help=help or f"write `{right}`", edit=Edit(m.span, right))
    if m.token.kind == "NAME" and "AXIS" in m.want and not m.want & {"NAME", "OVER"}:
        right = text[0].upper() + text[1:].replace("_", "")
        message = f"`{text}` starts lowercase, so it is a value; an axis belongs here"
        help = f"write `{right}` for an axis; a value indexes one: `x[{right}: {text}]`"
        help = help if m.before.kind == "LSQB" else f"write `{right}`"
        return Diagnostic("E0117", message, m.span, help=help, edit=Edit(m.span, right))
    return None


def size_for_axis(m: Mistake) -> Diagnostic | None:
    """param w: 3 -> 4"""
    if m.token.kind != "NUMBER" or "AXIS" not in m.want or "NUMBER" in m.want:
        return None
    return replace(unexpected(m), help=f"sizes have names: `dim N={m.token.text}` at the top, and `N` here")


def nothing_behind_arrow(m: Mistake) -> Diagnostic | None:
    """param w: H -> ~ normal(.1)"""
    if m.before.kind != "ARROW" or "AXIS" not in m.want or m.token.kind not in ("TILDE", "EQUAL", "COMMA"):
        return None
    help = "a map has an axis behind its arrow; for a single number `dim One=1`, `-> One`, and `[One: 0]` at its use"
    return replace(unexpected(m), help=help)


def chained_comparison(m: Mistake) -> Diagnostic | None:
    if m.token.kind != "COMPARE" or "TIMES" not in m.want:
        return None
    message = "comparisons do not chain"
    return Diagnostic("E0118", message, m.span, help="write `a < b and b < c`")


def unfinished_line(m: Mistake) -> Diagnostic | None:
    """A line that ends in an operator or comma takes the next statement in: `y = x +` and then `z = 3`."""
    names = m.token.kind in ("EQUAL", "BECOMES", "COLON") and len(m.statement) > 1
    operator, next_word = (m.statement[-2], m.before) if names else (m.before, m.token)
    same_line = m.place(operator).line == m.place(next_word).line
    if operator.kind not in GOES_ON - {"LBRACE"} or same_line or m.at_line_end or m.token.depth > m.first.depth:
        return None
    message = f"the line ends in `{operator.text}`, so the next one is read as a part of it"
    help = f"finish the line, or remove the `{operator.text}`"
    return Diagnostic("E0101", message, m.place(operator), labels=((m.span, "cannot stand here then"),), help=help)


def types_without_colon(m: Mistake) -> Diagnostic | None:
    """param w D -> H"""
    if m.token.kind != "AXIS" or not m.want >= {"COLON", "TILDE"}:
        return None
    return replace(unexpected(m), help=f"a colon stands before the axes: `{m.before.text}: {m.token.text}`")


def equals_sign(m: Mistake) -> Diagnostic | None:
    """`=` behind a whole expression: a comparison, or a value that is to change."""
    if m.token.kind not in ("EQUAL", "BECOMES") or "TIMES" not in m.want or (
        is_word(m.first) and m.first.kind != "IF"
    ):
        return None
    second = any(token.kind in ("EQUAL", "BECOMES") for token in m.statement)
    if second or m.first.kind == "IF" or m.token.depth > m.first.depth:
        message = f"`{m.token.text}` gives a value to a name, it does not compare"
        return Diagnostic("E0120", message, m.span, help="to compare, write `==`", edit=Edit(m.span, "=="))
    target = Span(m.source, m.first.start, m.before.end)
    help = "values never change: give the new one a name of its own (`y = …`)"
    return Diagnostic("E0122", f"only a name can stand left of `{m.token.text}`", target, help=help)


def side_by_side(m: Mistake) -> Diagnostic | None:
    """Two values with nothing between them."""
    if m.token.kind not in ("NAME", "NUMBER", "AXIS", "STRING", "HASH") or "TIMES" not in m.want:
        return None
    brackets = m.token.depth > m.first.depth
    help = "put a comma or an operator between them" if brackets else "put an operator or a new line between them"
    help = "put a comma between them" if "COMMA" in m.want and not brackets else help
    return replace(unexpected(m), help=f"two values stand side by side: {help}")


CAUSES: tuple[Cause, ...] = (
    no_header,
    unfinished_line,
    *HABITS,
    part_in_block,
    statement_outside,
    index_without_axis,
    wrong_case,
    size_for_axis,
    nothing_behind_arrow,
    chained_comparison,
    types_without_colon,
    equals_sign,
    reserved_word,
    side_by_side,
)
