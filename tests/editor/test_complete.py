"""What is offered at the cursor, in whole and in unfinished text."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.editor.complete import Offer, offers
from jobspec.editor.index import World, examined
from jobspec.editor.words import meaning, tables
from jobspec.lang import evaluation, saving, training
from jobspec.lang.builtins import BUILTINS, CONSTANTS
from jobspec.lang.source import Source
from jobspec.lang.tokens import words as reserved

TEXT = (Path(__file__).parents[2] / "specs" / "char_gpt.job").read_text()
GOOD = examined(Source("t", TEXT), World())


def offered(old: str, new: str) -> dict[str, Offer]:
    """What is offered where `|` stands, once `old` is replaced by `new` in the text."""
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    at = text.index("|")
    index = examined(Source("t", text.replace("|", "", 1)), World(), GOOD)
    return {offer.text: offer for offer in offers(index, at)}


@pytest.mark.parametrize(
    ("old", "new", "some", "none"),
    [
        ("nn.gelu(x", "nn.|(x", ["gelu", "softmax", "linear"], ["cross_entropy", "x", "mlp"]),
        ("nn.gelu(x", "nn.ge|(x", ["gelu"], ["x"]),
        ("import std.nn", "import std.|", ["nn", "loss", "optim"], ["x"]),
        ("gpt(batch.tok)", "gpt(batch.|)", ["tok", "next"], ["x", "select"]),
        ("dot[K](q", "dot[|](q", ["K", "T", "B"], ["q", "select"]),
        ("dot[K](q, k)", "dot[K](|, k)", ["q", "k", "v", "see", "wq", "x", "select", "a="], ["wte", "update"]),
        ("optim.adamw(lr, b2=.99, wd=.1)", "optim.adamw(lr, |)", ["eps=", "wd=", "lr", "steps"], ["wq"]),
        ("  clip = 1.0", "  |", ["clip", "shards", "update", "seed"], ["param", "wq"]),
        ("  every = 250", "  |", ["every", "best", "on"], ["seed", "param"]),
        ("  q = x @ wq", "  |", ["param", "repeat"], ["update", "seed"]),
        ("dim V=65 ", "|", ["dim", "layer", "train", "data"], ["x", "param"]),
        ("  nn.gelu(x @ w1) @ w2", "  nn.gelu(x @ |", ["w1", "w2", "x"], ["wq"]),
        ("  x = wte[V: tok] + wpe", "  x = wte[V: |", ["tok", "V", "wpe"], ["wq"]),
    ],
)
def test_what_is_offered(old: str, new: str, some: list[str], none: list[str]) -> None:
    found = offered(old, new)
    assert set(some) <= set(found)
    assert not set(none) & set(found)


def test_offers_say_what_they_are() -> None:
    found = offered("dot[K](q, k)", "dot[K](|, k)")
    assert found["q"].detail == "B 12 · T 64 · H 4 · K 32 (f32)"
    assert found["T"].detail == "dim T = 64"
    assert offered("nn.gelu(x", "nn.|(x")["linear"].detail == "layer linear[I O](x, bias=true)"


def test_every_word_of_the_language_has_its_lines() -> None:
    assert {*BUILTINS, "uniform", "table", "tokens"} <= set(tables()["functions"])
    assert {*CONSTANTS, "training"} <= set(tables()["names"])
    assert {*training.STATIC, *training.COMPUTED} <= set(tables()["train"])
    assert set(evaluation.STATIC) <= set(tables()["eval"]) and set(saving.STATIC) <= set(tables()["save"])
    assert not [word for word in reserved() if meaning(word) is None]
