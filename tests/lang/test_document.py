"""docs/language.md names what there is, and no word of it is missing there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobspec.lang import tree
from jobspec.lang.builtins import BARE, BUILTINS, CONSTANTS, LATER
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.modules import EDITION, std_names, std_tree
from jobspec.lang.source import Source
from jobspec.lang.training import COMPUTED, STATIC
from tests.lang.test_refused import TEMPLATE

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


@pytest.mark.parametrize("word", LATER)
def test_later_words_are_listed_and_refused(word: str) -> None:
    later = TEXT[TEXT.index("## Not carried through yet") : TEXT.index("## Where this differs")]
    assert f"`{word}" in later
    with pytest.raises(DiagnosticsError) as caught:
        load(Source("j.job", TEMPLATE.format(example=f"a = {word}(h)")))
    assert [d.code for d in caught.value.diagnostics] == ["E0290"]
