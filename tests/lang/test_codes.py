"""codes.toml and the sources speak of the same codes, and the examples of the syntax errors are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jobspec
from jobspec.ir.errors import UsageError
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.explain import entries, explain, overview
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from tests.lang.examples import compiled

PACKAGE = Path(jobspec.__file__).parent
TESTS = Path(__file__).parents[1]
CODE = re.compile(r"\bE0\d{3}\b")
#: errors of a job's text that no short text shows
NO_EXAMPLE = {
    "E0109": "takes a hundred brackets",
    "E0111": "takes bytes that are no text",
    "E0112": "takes ten thousand bytes",
    "E0274": "a file cannot hold its own hash",
    "E0275": "takes a whole file",
    "E0291": "takes two files and fmt",
}
MEANING = [c for c, e in entries().items() if (c[:3] in ("E02", "E03") or c[:4] == "E043") and "wrong" in e]
SYNTAX = [code for code, entry in entries().items() if code.startswith("E01") and "wrong" in entry]


def codes_in_sources() -> set[str]:
    return {code for path in PACKAGE.rglob("*.py") for code in CODE.findall(path.read_text("utf-8"))}


def test_every_code_in_the_sources_is_explained() -> None:
    assert codes_in_sources() - entries().keys() == set()


def test_every_explained_code_is_in_the_sources() -> None:
    assert entries().keys() - codes_in_sources() == set()


def test_every_code_is_named_by_a_test() -> None:
    """Where what causes it is tried, or in the errors that such a test expects; here codes are only listed."""
    tests = [path for path in TESTS.rglob("*") if path.suffix in (".py", ".err") and path != Path(__file__)]
    named = {code for path in tests for code in CODE.findall(path.read_text("utf-8"))}
    assert entries().keys() - named == set()


def test_codes_are_in_order_within_their_hundreds() -> None:
    for hundred in {code[:3] for code in entries()}:
        here = [code for code in entries() if code[:3] == hundred]
        assert here == sorted(here)


@pytest.mark.parametrize("code", sorted(entries()))
def test_entry_is_whole(code: str) -> None:
    entry = entries()[code]
    assert CODE.fullmatch(code)
    assert {"title", "text"} <= entry.keys() <= {"title", "text", "wrong", "right"}
    assert ("wrong" in entry) == ("right" in entry)
    assert len(entry["title"]) < 80 and entry["text"].strip().endswith((".", "`."))


@pytest.mark.parametrize("code", SYNTAX)
def test_syntax_example(code: str) -> None:
    wrong, right = (Source(f"{kind}.job", header(code) + entries()[code][kind]) for kind in ("wrong", "right"))
    with pytest.raises(DiagnosticsError) as caught:
        parse(wrong)
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {code}
    parse(right)


def header(code: str) -> str:
    """An example is what follows the first line, but where the first line is what it shows."""
    return "" if code == "E0116" else "job j\n"


@pytest.mark.parametrize("code", MEANING)
def test_example_of_meaning(code: str) -> None:
    """The wrong one gives this error and no other; the right one gives a job."""
    with pytest.raises(DiagnosticsError) as caught:
        compiled(entries()[code]["wrong"])
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {code}
    assert compiled(entries()[code]["right"]).state


def test_every_error_that_a_text_causes_has_an_example() -> None:
    caused = {code for code in entries() if code[:3] in ("E01", "E02", "E03") or code[:4] == "E043"}
    assert caused - {*SYNTAX, *MEANING} == NO_EXAMPLE.keys()


@pytest.mark.parametrize("code", sorted(entries()))
def test_explain_shows_the_whole_entry(code: str) -> None:
    text, entry = explain(code), entries()[code]
    assert text.startswith(f"{code}: {entry['title']}\n\n")
    for line in (*entry["text"].strip().splitlines(), *entry.get("wrong", "").splitlines()):
        assert line in text


def test_explain() -> None:
    text = explain("e0101")
    assert text.startswith("E0101: unexpected text\n\n")
    assert text.endswith("right:\n    def f(x) = x / 2")


@pytest.mark.parametrize("said", ["E0212", "e0212", "E212", "212", " 0212 "])
def test_a_code_may_be_said_shortly(said: str) -> None:
    assert explain(said).startswith("E0212: every pair\n")


def test_explain_lists_all() -> None:
    listed = overview().splitlines()
    assert [line[:5] for line in listed] == sorted(entries())
    assert "E0212  every pair" in listed


def test_explain_unknown_code() -> None:
    with pytest.raises(UsageError) as caught:
        explain("E0110x")
    assert caught.value.code == "E0802"
    assert caught.value.help is not None and "`E0110` (unused value)" in caught.value.help
