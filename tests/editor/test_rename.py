"""Renames: everything that is meant and nothing else; refused where the text would say something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.editor.index import World, examined
from jobspec.editor.rename import EditError, Renaming, rename, replaced
from jobspec.ir.codec.job import job_hash
from jobspec.lang.check import load
from jobspec.lang.source import Source

SPECS = Path(__file__).parents[2] / "specs"
TEXT = (SPECS / "char_gpt.job").read_text().replace(", u8)", ", u8[T])")


def renamed(mark: str, name: str, text: str = TEXT, delta: int = 0) -> tuple[str, Renaming]:
    index = examined(Source("t", text), World())
    found = rename(index, text.index(mark) + delta, name, World())
    return replaced(text, list(found.spans), name), found


def hash_of(text: str) -> str:
    return str(job_hash(load(Source("t", text))))


VALUES = [
    ("q = x @", 0, "query", 2),
    ("x = wte", 0, "stream", 8),
    ("layer mlp(x)", 10, "h", 2),
    ("objective(batch) =", 0, "goal", 3),
    ("objective(batch) =", 10, "examples", 3),
    ("lr = schedule", 0, "rate", 3),
    ("data train", 5, "texts", 2),
]
#: names that the state has
OF_STATE = [
    ("dim T=", 4, "Time", 15),
    ("dim V=", 4, "Letters", 4),
    ("wq wk", 0, "query", 2),
    ("wte: V", 0, "embedding", 3),
    ("n1:norm", 0, "before", 1),
    ("layer mlp", 6, "ffn", 2),
]
CASES = [*((*case, True) for case in VALUES), *((*case, False) for case in OF_STATE)]


@pytest.mark.parametrize(("mark", "delta", "name", "count", "same"), CASES)
def test_renames_say_whether_the_job_hash_changes(mark: str, delta: int, name: str, count: int, same: bool) -> None:
    text, found = renamed(mark, name, delta=delta)
    assert len(found.spans) == count
    assert (hash_of(text) == hash_of(TEXT)) == same
    assert not found.note if same else "changes the job hash" in found.note


def test_primes_stay_where_they_are() -> None:
    text, _ = renamed("dim T=", "Time", delta=4)
    assert "see: Time Time' = iota[Time'] <= iota[Time]" in text


def test_an_axis_that_no_state_has_keeps_the_hash() -> None:
    before = TEXT.replace("dim B=12", "dim B=12, Q=3").replace(
        "x = wte[V: tok] + wpe", "x = wte[V: tok] + wpe + count[Q](zeros[Q])"
    )
    text, found = renamed("Q=3", "Quiet", before)
    assert not found.note and hash_of(text) == hash_of(before)


SELECTED = TEXT.replace(
    "  update matrices by optim.adamw(lr, b2=.99, wd=.1)\n  update vectors",
    '  update "mlp.w1", "*.w2", wte, wpe, "attention.*" by optim.adamw(lr, b2=.99, wd=.1)\n  update vectors',
)


@pytest.mark.parametrize(
    ("mark", "name", "line"),
    [
        ("w1: D", "up", '"mlp.up", "*.w2"'),
        ("w2: F", "down", '"mlp.w1", "*.down"'),
        ("wte: V", "embed", "embed, wpe"),
        ("attention(x)", "attend", '"attend.*"'),
        ("mlp(x)", "ffn", '"ffn.w1"'),
    ],
)
def test_selectors_follow(mark: str, name: str, line: str) -> None:
    text, _ = renamed(mark, name, SELECTED)
    assert line in text
    load(Source("t", text))


@pytest.mark.parametrize(
    ("mark", "delta", "name", "why"),
    [
        ("q = x @", 0, "k", "means something else"),
        ("q = x @", 0, "wq", "means something else"),
        ("q = x @", 0, "select", "means something else"),
        ("q = x @", 0, "repeat", "word of the language"),
        ("q = x @", 0, "Q", "no name"),
        ("q = x @", 0, "a b", "no name"),
        ("q = x @", 0, "q'", "no name"),
        ("q = x @", 0, "q", "already"),
        ("dim T=", 4, "D", "means something else"),
        ("dim T=", 4, "t", "no name"),
        ("dim B=", 4, "Batch", "axis of the batch"),
        ("seed =", 0, "sprout", "is a setting"),
        ("select(see", 0, "choose", "is a word"),
        ("variance[D]", 0, "spread", "of another file"),
        ("import std.nn", 12, "layers", "is a library"),
        ("wq wk", 0, "wk", "means something else"),
        ("n1:norm", 0, "n2", "means something else"),
        ("# layers", 4, "x", "nothing that has a name"),
    ],
)
def test_what_cannot_be_renamed(mark: str, delta: int, name: str, why: str) -> None:
    with pytest.raises(EditError) as caught:
        renamed(mark, name, delta=delta)
    assert why in caught.value.reason and caught.value.code == "E0831"


def test_a_window_of_tokens_runs_along_t_without_saying_so() -> None:
    with pytest.raises(EditError) as caught:
        renamed("dim T=", "Time", TEXT.replace(", u8[T])", ", u8)"), delta=4)
    assert "u16[T]" in (caught.value.help or "")


def test_text_that_is_no_job_yet_is_renamed_by_its_words_alone() -> None:
    broken = TEXT.replace("x @ wq", "x @ nothing")
    text, _ = renamed("k = (x", "key", broken)
    assert "dot[K](q, key)" in text
    with pytest.raises(EditError):
        renamed("k = (x", "v", broken)
