"""codes.toml and the sources speak of the same codes, and the examples of the syntax errors are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jobspec
from jobspec.ir.errors import UsageError
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.explain import entries, explain
from jobspec.lang.parse import parse
from jobspec.lang.source import Source

PACKAGE = Path(jobspec.__file__).parent
CODE = re.compile(r"\bE0\d{3}\b")
SYNTAX = [code for code, entry in entries().items() if code.startswith("E01") and "wrong" in entry]


def codes_in_sources() -> set[str]:
    return {code for path in PACKAGE.rglob("*.py") for code in CODE.findall(path.read_text("utf-8"))}


def test_every_code_in_the_sources_is_explained() -> None:
    assert codes_in_sources() - entries().keys() == set()


def test_every_explained_code_is_in_the_sources() -> None:
    assert entries().keys() - codes_in_sources() == set()


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
    with pytest.raises(DiagnosticsError) as caught:
        parse(Source("wrong.job", f"job j\n{entries()[code]['wrong']}"))
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {code}
    parse(Source("right.job", f"job j\n{entries()[code]['right']}"))


def test_explain() -> None:
    text = explain("e0101")
    assert text.startswith("E0101: unexpected text\n\n")
    assert text.endswith("right:\n    def f(x) = x / 2")


def test_explain_unknown_code() -> None:
    with pytest.raises(UsageError) as caught:
        explain("E0110x")
    assert caught.value.code == "E0802"
    assert caught.value.help is not None and "`E0110` (unused value)" in caught.value.help
