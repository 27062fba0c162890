"""docs/std.md is what the library says of itself today."""

from __future__ import annotations

from pathlib import Path

from jobspec.lang import tree
from jobspec.lang.library_page import page
from jobspec.lang.modules import std_names, std_tree

PAGE = Path(__file__).parents[2] / "docs" / "std.md"


def test_the_page_is_up_to_date() -> None:
    """Where it is not: `python -m jobspec.lang.library_page > docs/std.md`."""
    assert PAGE.read_text("utf-8") == page()


def test_every_function_is_on_it() -> None:
    for name in std_names():
        part = page().split(f"## std.{name}\n")[1].split("\n## ")[0]
        for item in std_tree(name)[1].items:
            if isinstance(item, tree.Def):
                assert f"| `{item.name.text}" in part
