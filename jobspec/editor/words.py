"""What a word of the language means, in a line or two.

Takes: the word and where it stands. Promises: signature and text of words.toml; tests hold that every function, name,
setting and reserved word of the language has its entry.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

TABLES = ("functions", "names", "statements", "items")


@cache
def tables() -> dict[str, dict[str, tuple[str, str]]]:
    """Table → word → signature and text."""
    raw = tomllib.loads((files("jobspec") / "words.toml").read_text("utf-8"))
    return {table: {word: (entry[0], entry[1]) for word, entry in words.items()} for table, words in raw.items()}


def meaning(word: str, section: str = "") -> tuple[str, str] | None:
    """Signature and text of a word; `section` (train, eval, save, run): of a setting there, first."""
    found = (tables()[table].get(word) for table in (*([section] if section in tables() else []), *TABLES))
    return next((entry for entry in found if entry), None)
