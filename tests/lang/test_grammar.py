"""The stored table is the grammar's, the grammar has no conflicts, and every rule has its reduction."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lark.exceptions import GrammarError

from jobspec.lang import grammar
from jobspec.lang.grammar import build_table, load_table, read_table, write_table
from jobspec.lang.rules import RULES
from jobspec.lang.tokens import words


def test_stored_table_is_the_grammars() -> None:
    """If this fails: python -m jobspec.lang.grammar"""
    stored = read_table(grammar.STORED.read_text("utf-8"))
    assert stored == build_table(grammar.GRAMMAR.read_text("utf-8"), stored.digest)
    assert load_table() == stored


def test_table_round_trip() -> None:
    assert read_table(write_table(load_table())) == load_table()


def test_every_rule_has_its_reduction() -> None:
    named = {rule.name for rule in load_table().rules if not rule.splice and not rule.single}
    pass_through = {rule.head for rule in load_table().rules if rule.single}
    assert named - pass_through == set(RULES)


def test_reserved_words_are_few() -> None:
    parts = "job library import as dim param state scan repeat if else phase update by of freeze average shard over"
    assert sorted(words()) == sorted([*parts.split(), "and", "or", "not"])


def test_parsing_needs_no_lark() -> None:
    """Loading lark takes longer than checking a job may take."""
    code = "import sys; from jobspec.lang.parse import parse; from jobspec.lang.source import Source; " \
        "parse(Source('x', 'job j')); print([m for m in sys.modules if m.split('.')[0] == 'lark'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_grammar_is_readable() -> None:
    assert all(len(line) <= 120 for line in grammar.GRAMMAR.read_text("utf-8").splitlines())


def test_an_ambiguous_grammar_is_refused() -> None:
    """So the grammar, which is not, has no conflict that lark settles silently."""
    text = grammar.GRAMMAR.read_text("utf-8")
    ambiguous = text.replace("?sum: product | sum (PLUS | MINUS) product", "?sum: product | sum (PLUS | MINUS) sum")
    assert ambiguous != text
    with pytest.raises(GrammarError, match="Shift/Reduce conflict"):
        build_table(ambiguous, "")
