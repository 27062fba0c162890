"""The decisions of the one style, one by one."""

from __future__ import annotations

import pytest

from jobspec.lang.breaking import LIMIT
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.format import format_source
from jobspec.lang.source import Source


def formatted(text: str) -> str:
    return format_source(Source("test.job", text))


def line(text: str) -> str:
    """A statement, as it comes out."""
    return formatted(f"job j\ntrain {{\n{text}\n}}").removeprefix("job j\ntrain {\n  ").removesuffix("\n}\n")


@pytest.mark.parametrize(
    "text",
    [
        "m := b1*m + (1-b1)*g",
        "x = x * rsqrt(mean[D](x*x) + 1e-5) * g",
        "y = hi * .5 * (1 + cos(pi*t/n))",
        "y = (x/16 - .5) @ w1 + b1",
        "v = (x-m)^2",
        "y = 1 - t^-.8",
        "y = -a - -b",
        "y = (a + b)[T->S]",
        "y = x[K -> P C, T: 1.., S: ..-1, V: ids, B: 0]",
        "y = window[Y X by Ky Kx](x, stride, pad=1) @ w",
        "h = n1:bn[O](c1:conv[I O](x, stride))",
        "see: B T S = iota[S] <= iota[T] and doc[T->S] == doc",
        "a, b: T = f(x)",
        "param w1 w3: E | D -> F ~ normal(.02), b: F = 0",
        'update "blocks.*.w?", head by adamw(lr, wd=.1) of d_loss',
        "start = load(b3:f1eeb00000000000, \"enc.*\" -> \"dec.*\")",
        "mesh = [tp=8, pp=16]",
        "x = a if not b else [c, d]",
        "phase ctx1 { T = 16Ki; B = 1Ki; until = 14.92T }",
        "seed = 7; steps = 2000",
        "if a { x = 1 } else { x = 2 }",
        "repeat L as i {}",
        "x = 1  # why",
    ],
)
def test_is_in_style_already(text: str) -> None:
    assert line(text) == text


@pytest.mark.parametrize(
    ("text", "styled"),
    [
        ("x=a+b*c", "x = a + b*c"),
        ("x = a * f(b+c,d)", "x = a * f(b + c, d)"),
        ("f( lr = .1 )", "f(lr=.1)"),
        ("x = scan T(h=0){h}", "x = scan T (h=0) { h }"),
        ("seed=3;;steps = 4 ;", "seed = 3; steps = 4"),
        ("x = 1#why  ", "x = 1  #why"),
        ("if a {\nx = 1}\nelse {x = 2}", "if a {\n    x = 1\n  } else {\n    x = 2\n  }"),
        ("x = 1\n\n\n\ny = 2", "x = 1\n\n  y = 2"),
        ("\n\nx = 1\n\n", "x = 1"),
        ("x = [1, # one\n2]", "x = [1,  # one\n      2]"),
        ("repeat 2 {\ny = 1 } # why", "repeat 2 {\n    y = 1  # why\n  }"),
        ("repeat 2 { # head\n# alone\n}", "repeat 2 {  # head\n    # alone\n  }"),
        ("x = a +\nb", "x = a + b"),
        ("x = 1 # one\ny = 20   # two", "x = 1   # one\n  y = 20  # two"),
        ("x = 1 # one\n\ny = 20 # apart", "x = 1  # one\n\n  y = 20  # apart"),
        ("x = 1 # one\nz = 3\ny = 20 # apart", "x = 1  # one\n  z = 3\n  y = 20  # apart"),
        ("x = 1 # one\n# alone\ny = 20 # apart", "x = 1  # one\n  # alone\n  y = 20  # apart"),
        ("repeat 2 { # out\ny = 1 # in\nzz = 1 # in\n}", "repeat 2 {  # out\n    y = 1   # in\n    zz = 1  # in\n  }"),
    ],
)
def test_style(text: str, styled: str) -> None:
    assert line(text) == styled


def test_long_lines_are_broken_where_a_statement_goes_on() -> None:
    words = ", ".join(f"argument{i}={i}" for i in range(20))
    lines = line(f"x = f({words})").splitlines()
    assert [len(part) <= LIMIT for part in lines] == [True] * len(lines)
    assert all(part.endswith(",") for part in lines[:-1]) and len(lines) == 3
    assert all(part.startswith("      argument") for part in lines[1:])


def test_a_long_sum_is_broken_behind_its_operators() -> None:
    lines = line("total = " + " + ".join(f"value{i} * f(x, {i})" for i in range(12))).splitlines()
    assert len(lines) == 3 and all(part.endswith(" +") for part in lines[:-1])


def test_a_block_that_is_too_long_for_one_line_is_opened() -> None:
    statements = "; ".join(f"variable{i} = {i}" for i in range(12))
    lines = line(f"repeat 2 {{ {statements} }}").splitlines()
    assert lines[:3] == ["repeat 2 {", "    variable0 = 0", "    variable1 = 1"]


def test_a_column_that_a_comment_would_leave_the_line_for_is_none() -> None:
    """As long as the longest line has its comment two blanks behind, that is the column; one sign more is too much."""
    short, word = "x = 1", "y = " + "z" * 100
    wide = "  " + word + "  # "
    for signs, column in ((LIMIT - len(wide), len(wide) - 2), (LIMIT - len(wide) + 1, len("  x = 1") + 2)):
        comment = "# " + "n" * signs
        assert line(f"{short} {comment}\n{word} # b").splitlines()[0].index("#") == column - 2


def test_windows_newlines_and_a_byte_order_mark_go() -> None:
    assert formatted("\ufeffjob j\r\n\r\ndim B=1\r\n") == "job j\n\ndim B=1\n"


def test_errors_are_the_parsers() -> None:
    with pytest.raises(DiagnosticsError) as caught:
        formatted("job j\ndef f(x) = x * / 2")
    assert caught.value.code == "E0101"
