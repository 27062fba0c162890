"""docs/language.md names what there is, and no word of it is missing there."""

from __future__ import annotations

import re
from pathlib import Path

from jobspec.lang import tree
from jobspec.lang.builtins import BARE, BUILTINS, CONSTANTS
from jobspec.lang.modules import EDITION, std_names, std_tree
from jobspec.lang.training import COMPUTED, STATIC

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
