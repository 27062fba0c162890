"""What the parser makes of small texts, one idea each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from jobspec.lang import tree
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.parse import MAX_DEPTH, parse
from jobspec.lang.source import Source
from tests.lang.write_expressions import expression


def read(text: str) -> tree.Job:
    return parse(Source("test.job", text))


def body(text: str) -> tree.Body:
    section = read(f"job j\ntrain {{ {text}\n}}").items[0]
    assert isinstance(section, tree.Section)
    return section.body


def value(text: str) -> Any:
    statement = body(f"x = {text}")[0]
    assert isinstance(statement, tree.Let)
    return statement.value


def errors(text: str) -> list[str]:
    with pytest.raises(DiagnosticsError) as caught:
        read(text)
    return [f"{d.code} {d.span.line}:{d.span.column}" for d in caught.value.diagnostics]


def grouped(node: tree.Expr) -> str:
    """The expression with all parentheses, to see what binds tighter."""
    match node:
        case tree.Bin() | tree.Cmp():
            return f"({grouped(node.left)}{node.op}{grouped(node.right)})"
        case tree.And() | tree.Or():
            return f"({grouped(node.left)} {type(node).__name__.lower()} {grouped(node.right)})"
        case tree.Neg() | tree.Not():
            return f"({'-' if isinstance(node, tree.Neg) else 'not '}{grouped(node.value)})"
        case tree.Cond():
            return f"({grouped(node.then)} if {grouped(node.test)} else {grouped(node.orelse)})"
    return expression(node)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b*c - d", "((a+(b*c))-d)"),
        ("a*b @ c / d", "(((a*b)@c)/d)"),
        ("-x^2", "(-(x^2))"),
        ("2^-3^a", "(2^(-(3^a)))"),
        ("a - b - c", "((a-b)-c)"),
        ("-a * -b", "((-a)*(-b))"),
        ("not a == b and c or d", "(((not (a==b)) and c) or d)"),
        ("not not a", "(not (not a))"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("a < b and b < c", "((a<b) and (b<c))"),
        ("n1:rms(x) @ head", "(n1:rms(x)@head)"),
        ("(a + b) * c", "((a+b)*c)"),
    ],
)
def test_precedence(text: str, meaning: str) -> None:
    assert grouped(value(text)) == meaning


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", Fraction(7)),
        (".1", Fraction(1, 10)),
        ("1e-8", Fraction(1, 10**8)),
        ("1_000.5e2", Fraction(100_050)),
        ("3k", Fraction(3000)),
        ("1.2M", Fraction(1_200_000)),
        ("15.6T", Fraction(15_600_000_000_000)),
        ("2G", Fraction(2 * 10**9)),
        ("4Ki", Fraction(4096)),
        ("1.5Mi", Fraction(3 * 2**19)),
        ("1Gi", Fraction(2**30)),
        ("2Ti", Fraction(2**41)),
        ("1e400", Fraction(10**400)),
    ],
)
def test_numbers_are_exact(text: str, number: Fraction) -> None:
    node = value(text)
    assert (node.value, node.text) == (number, text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x = a +\n b", "x = a + b"),
        ("x =\n\n a", "x = a"),
        ("x = f(a,\n b\n)", "x = f(a, b)"),
        ("x = [\na\n]", "x = [a]"),
        ("x = a if b\n else c", "x = a if b else c"),
        ("if a { x = 1 }\n\n else { x = 2 }", "if a { x = 1 } else { x = 2 }"),
        ("x = 1; y = 2;", "x = 1\ny = 2"),
        (";; x = 1 ;\n; y = 2", "x = 1\ny = 2"),
        ("x = 1 # c\n# d\n\n y = 2", "x = 1\ny = 2"),
        ("x = a and # c\n b", "x = a and b"),
        ("x = 1\r\ny = 2\r\n", "x = 1\ny = 2"),
        ("x = 1\ry = 2", "x = 1\ny = 2"),
        ("f(a, b,)", "f(a, b)"),
        ("\tx\t=\t1", "x = 1"),
    ],
)
def test_newlines_and_blanks(text: str, same: str) -> None:
    assert body(text) == body(same)


def test_an_operator_does_not_begin_a_line() -> None:
    assert errors("job j\ntrain {\n  x = 1\n  + 2\n}") == ["E0101 4:3"]
    assert errors("job j\ntrain {\n  x = 1\n  - 2\n  y = 1\n}") == ["E0110 4:3"]


def test_reserved_words_are_free_behind_a_dot() -> None:
    assert value("batch.state") == tree.Field(SPAN, tree.Name(SPAN, "batch"), tree.Ident(SPAN, "state"))


SPAN = Source("x", "").span(0, 0)


def test_spans() -> None:
    text = "job j\ntrain {\n  x = a * (b + c)[T->S]\n}"
    let = read(text).items[0].body[0]  # type: ignore[union-attr]
    assert isinstance(let, tree.Let) and isinstance(let.value, tree.Bin)
    assert (let.span.line, let.span.column, let.span.text) == (3, 3, "x = a * (b + c)[T->S]")
    assert let.value.right.span.text == "(b + c)[T->S]"
    assert let.value.op_span.text == "*"
    assert str(let.value.span) == "test.job:3:7"


def test_every_node_spans_its_text() -> None:
    """The text of an expression's span parses to the expression."""
    text = "job j\ntrain { x = a*b + f(c, d=[1, 2])[T: 0, B: 1..-1]^2 if not g(s:h(y)) else -z.w }"
    nodes = [node for node in tree.walk(read(text)) if isinstance(node, tree.Expr)]
    assert len(nodes) > 20
    for node in nodes:
        assert value(node.span.text) == node


def test_a_parameter_for_each_name() -> None:
    first, second, third = body("param w1 w3: E | D -> F ~ n(1), b = 0")
    assert isinstance(first, tree.Parameter) and isinstance(third, tree.Parameter)
    assert (first.name.text, second.name.text, third.name.text) == ("w1", "w3", "b")  # type: ignore[union-attr]
    assert first.type is not None and first.type.right is not None
    assert [a.text for a in (*first.type.stacked, *first.type.left, *first.type.right)] == ["E", "D", "F"]
    assert first.drawn and not third.drawn and third.type is None


def test_nothing_is_deep() -> None:
    for text in ("(" * 99 + "a" + ")" * 99, "-" * 80 + "a", "f(" * 80 + "a" + ")" * 80):
        value(text)


@pytest.mark.parametrize(
    "text",
    [
        "a + " * 5000 + "a",
        "f(" * 3000 + "a" + ")" * 3000,
        "-" * 9000 + "a",
        "not " * 2000 + "a",
        "a^" * 4000 + "a",
        "a if b else " * 700 + "a",
        "[" * 4000 + "]" * 4000,
        "(" * 8000,
        ")" * 8000,
        "x." * 4000 + "x",
        "a[T: " * 1500 + "0" + "]" * 1500,
    ],
    ids=lambda text: text[:8],
)
def test_deep_nesting_is_an_error(text: str) -> None:
    found = errors(f"job j\ntrain {{ x = {text} }}")
    assert {error[:5] for error in found} <= {"E0101", "E0102", "E0103", "E0109"}


def test_deep_blocks_are_an_error() -> None:
    for text in ("if a { " * 1500, "if a { " * 1000 + "} " * 1000, "if a { } else " * 700 + "{ }"):
        assert {error[:5] for error in errors(f"job j\ntrain {{ {text} }}")} <= {"E0102", "E0103", "E0109"}


def test_the_limit_is_where_it_says() -> None:
    chain = " + ".join(["a"] * (MAX_DEPTH - 4))
    value(chain)
    with pytest.raises(DiagnosticsError):
        value(f"{chain} + a + a + a + a + a")


def test_independent_errors_in_one_run() -> None:
    text = "job j\ndim b=1\ntrain {\n  x = * 1\n  repeat 2 {\n    y = 2 3\n  }\n  z = f(\n  u = x[0]\n}\nlayr f(x) = x"
    assert errors(text) == ["E0117 2:5", "E0101 4:7", "E0101 6:11", "E0102 8:8", "E0119 9:9", "E0108 11:1"]
