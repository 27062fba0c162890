"""How errors look, are ordered and are counted."""

from __future__ import annotations

import pytest

from jobspec.lang.diagnostics import Diagnostic, DiagnosticsError, Reporter, closest, did_you_mean, edit_distance
from jobspec.lang.source import Source, Span

LINES = ["job regress", *["# …"] * 17, "  loss = mean[B N]((y - yhat)^2)"]
SOURCE = Source("regress.job", "\n".join(LINES))


def at(text: str, source: Source = SOURCE) -> Span:
    start = source.text.rindex(text)
    return source.span(start, start + len(text))


def test_the_example_of_the_language_description() -> None:
    diagnostic = Diagnostic(
        "E0212",
        "`-` would pair every B with every N",
        SOURCE.span(at("(y - ").start + 1, at("(y - ").start + 2),
        "axes: B 100, from `net` at line 17",
        ((at("yhat"), "axes: N 100      (N entered at line 12: `data`, field y)"),),
        help="if both count the same examples, rename: `y[N->B]`; "
        "if all pairs are meant, annotate: `d: B N = y - yhat`",
    )
    assert diagnostic.render().splitlines() == [
        "error[E0212]: `-` would pair every B with every N",
        "  --> regress.job:19:21",
        "19 |   loss = mean[B N]((y - yhat)^2)",
        "   |                     ^   ^^^^ axes: N 100      (N entered at line 12: `data`, field y)",
        "   |                     axes: B 100, from `net` at line 17",
        "help: if both count the same examples, rename: `y[N->B]`; if all pairs are meant, "
        "annotate: `d: B N = y - yhat`",
    ]


def test_marks_on_other_lines_and_in_other_files() -> None:
    other = Source("std/nn.job", "library nn\ndef f(x) = x")
    labels = ((SOURCE.span(0, 3), "the job"), (at("f", other), "from here"))
    lines = Diagnostic("E0212", "m", at("yhat"), "here", labels, ("a note",)).render().splitlines()
    assert lines[2:] == [
        "19 |   loss = mean[B N]((y - yhat)^2)",
        "   |                         ^^^^ here",
        " 1 | job regress",
        "   | ^^^ the job",
        "  ::: std/nn.job",
        " 2 | def f(x) = x",
        "   |     ^ from here",
        "note: a note",
    ]


def test_a_span_of_several_lines_is_marked_on_its_first() -> None:
    source = Source("x", "ab = f(\n  1)")
    assert Diagnostic("E0101", "m", source.span(5, 12)).render().splitlines()[2:] == ["1 | ab = f(", "  |      ^^"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    source = Source("x", "a \x1b[31mred\x1b[0m\tb")
    text = Diagnostic("E0101", "m", at("b", source)).render()
    assert "\x1b" not in text and "\t" not in text


def test_a_long_line_is_cut_around_the_place() -> None:
    source = Source("x", "a" * 5000 + "!" + "b" * 5000)
    line, carets = Diagnostic("E0101", "m", at("!", source)).render().splitlines()[2:]
    assert len(line) < 130 and line[carets.index("^")] == "!"


def test_errors_are_sorted_and_the_first_names_the_code() -> None:
    reporter = Reporter()
    reporter.error("E0202", "second", SOURCE.span(8, 9), help="h")
    reporter.error("E0201", "first", SOURCE.span(0, 3))
    with pytest.raises(DiagnosticsError) as caught:
        reporter.stop_if_any()
    assert [d.message for d in caught.value.diagnostics] == ["first", "second"]
    assert (caught.value.code, caught.value.exit_code) == ("E0201", 3)
    assert str(caught.value).count("error[") == 2


def test_one_error_for_one_place() -> None:
    reporter = Reporter()
    reporter.error("E0201", "cause", SOURCE.span(0, 3))
    reporter.error("E0202", "consequence", SOURCE.span(0, 3))
    assert [d.message for d in reporter.diagnostics] == ["cause"]


def test_no_error_is_no_error() -> None:
    Reporter().stop_if_any()


def test_edit_distance() -> None:
    cases = [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("layer", "layre", 1), ("abc", "abc", 0)]
    assert [edit_distance(a, b) for a, b, _ in cases] == [n for *_, n in cases]


def test_closest() -> None:
    known = ["softmax", "relu", "mean", "max"]
    assert closest("sofmax", known) == "softmax"
    assert closest("men", known) == "mean"
    assert closest("relu", known) is None and closest("entropy", known) is None and closest("x", []) is None
    assert did_you_mean("rleu", known) == "did you mean `relu`?"
