"""docs/language.md names what there is, no word of it is missing there, and its examples are true.

A block is headed by `job` (in a small job it compiles), `job refused CODE` (it gives just this error) or `job digits`
(it quotes specs/digits.job; a line `…` leaves something out).
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from jobspec.lang import tree
from jobspec.lang.builtins import BARE, BUILTINS, CONSTANTS
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.modules import EDITION, std_names, std_tree
from jobspec.lang.training import COMPUTED, STATIC
from tests.lang.examples import compiled

TEXT = (Path(__file__).parents[2] / "docs" / "language.md").read_text("utf-8")
WORDS = set(re.findall(r"[a-z_][a-z0-9_]*", TEXT))


def test_every_function_of_the_language_is_named() -> None:
    assert {*BUILTINS, *BARE, *CONSTANTS} - WORDS == set()


def test_every_setting_is_named() -> None:
    assert {*STATIC, *COMPUTED} - WORDS == set()


def test_every_function_of_the_library_is_named() -> None:
    for name in std_names():
        assert f"`std.{name}`" in TEXT
        functions = {i.name.text for i in std_tree(name)[1].items if isinstance(i, tree.Def)}
        assert functions - INNER - WORDS == set()


#: what a library keeps to itself
INNER = {"filled"}


def test_the_edition_is_named() -> None:
    assert f"(`{EDITION}`)" in TEXT


BLOCKS = [
    (TEXT[: found.start()].count("\n") + 1, found[2].strip(), textwrap.dedent(found[1] + found[3]))
    for found in re.finditer(r"^( *)```(.*)\n((?:(?! *```).*\n)*) *```$", TEXT, re.MULTILINE)
]
DIGITS = (Path(__file__).parents[2] / "specs" / "digits.job").read_text("utf-8")


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(tag, body, id=f"line {n}") for n, tag, body in BLOCKS if tag.startswith(kind)]


def test_every_block_says_what_it_is() -> None:
    tags = [tag for _, tag, _ in BLOCKS]
    assert len(tags) == TEXT.count("```") // 2 > 25
    assert all(re.fullmatch(r"job( digits| refused E\d{4})?", tag) for tag in tags)


@pytest.mark.parametrize(("tag", "body"), [p for p in of_kind("job") if p.values[0] == "job"])
def test_example(tag: str, body: str) -> None:
    assert compiled(body).state


@pytest.mark.parametrize(("tag", "body"), of_kind("job refused"))
def test_refused_example(tag: str, body: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        compiled(body)
    assert {d.code for d in caught.value.diagnostics} == {tag.split()[-1]}


@pytest.mark.parametrize(("tag", "body"), of_kind("job digits"))
def test_quotation(tag: str, body: str) -> None:
    """Line by line, but for comments, blanks and the digits of hashes."""
    said = [plain(line) for line in DIGITS.splitlines() if plain(line)]
    for part in body.split("…\n"):
        lines = [plain(line) for line in part.splitlines() if line.strip()]
        assert any(said[i : i + len(lines)] == lines for i in range(len(said))), part


def plain(line: str) -> str:
    return " ".join(re.sub(r"b3:[0-9a-f]+…?", "b3:", line).partition("#")[0].split())
