"""`--set`: exactly one value changes, or a usage error says why not."""

from __future__ import annotations

import pytest

from jobspec.ir.errors import UsageError
from jobspec.lang.assigned import assignments
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.override import overridden
from jobspec.lang.source import Source

TEXT = """job a "title"
dim B=4, X=3   # sizes
data train = table(b3:0123456789abcdef, x=f32[X])
train {
  seed = 3; steps = 12
  lr = .1 * (1 - step/steps)
  phase warm { until = 2k; T = 4Ki }
}
eval { every = 4
  on = train }
eval small { every = 2 }
"""


def changed(*pairs: str) -> str:
    return overridden(Source("a.job", TEXT), assignments(pairs)).text


@pytest.mark.parametrize(
    ("pair", "before", "after"),
    [
        ("B=32", "B=4,", "B=32,"),
        ("X = 2*4", "X=3 ", "X=2*4 "),
        ("steps=500", "steps = 12", "steps = 500"),
        ("lr=.05", ".1 * (1 - step/steps)", ".05"),
        ("eval.every=9", "every = 4", "every = 9"),
        ("train.steps=500", "steps = 12", "steps = 500"),
        ("eval.small.every=9", "every = 2", "every = 9"),
        ("data.train=b3:ffffffffff", "b3:0123456789abcdef", "b3:ffffffffff"),
        ("data.train=tokens(b3:ffffffffff, u8)", "table(b3:0123456789abcdef, x=f32[X])", "tokens(b3:ffffffffff, u8)"),
        ("train.warm.T=8", "T = 4Ki", "T = 8"),
        ("train.warm.until=20", "until = 2k", "until = 20"),
        ("train.warm.steps=20", "until = 2k", "steps = 20"),
        ("epochs=3", "steps = 12", "epochs = 3"),
        ("until=3k", "steps = 12", "until = 3k"),
        ("clip=1", "seed = 3", "clip = 1; seed = 3"),
        ("eval.small.best=min(a)", "every = 2", "best = min(a); every = 2"),
        ("save.keep=3", "every = 2 }\n", "every = 2 }\n\nsave { keep = 3 }\n"),
    ],
)
def test_one_value_changes(pair: str, before: str, after: str) -> None:
    assert changed(pair) == TEXT.replace(before, after)


def test_several_at_once_and_none() -> None:
    wanted = TEXT.replace("steps = 12", "steps = 5").replace("B=4", "B=2").replace("seed = 3", "seed = 1")
    assert changed("steps=5", "B=2", "seed=1") == wanted
    assert changed() == TEXT


def test_the_last_word_counts() -> None:
    assert changed("steps=5", "steps=6") == TEXT.replace("steps = 12", "steps = 6")


@pytest.mark.parametrize("pair", ["steps", "=4", "steps=", " = "])
def test_words_without_name_or_value(pair: str) -> None:
    with pytest.raises(UsageError) as caught:
        assignments([pair])
    assert caught.value.code == "E0813"


@pytest.mark.parametrize("name", ["Z", "every", "net", "title", "train", "small.every", "data.test", "train.cold.T"])
def test_names_that_are_not_set(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(f"{name}=1")
    assert caught.value.code == "E0813" and caught.value.help


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("step", "steps"),
        ("train.step", "train.steps"),
        ("small.every", "eval.small.every"),
        ("train.T", "train.warm.T"),
        ("data.trian", "data.train"),
        ("eval.smal.every", "eval.every"),
        ("C", "B"),
    ],
)
def test_the_nearest_name_is_said(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(f"{name}=1")
    assert caught.value.help == f"did you mean `{near}`?"


@pytest.mark.parametrize("pair", ["B=4, Q=2", "X=3, Y=2"])
def test_a_value_sets_nothing_else(pair: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(pair)
    assert caught.value.code == "E0814"


@pytest.mark.parametrize("value", ["1; seed = 9", "1\nseed = 9", "1 }", "{", "1 # x"])
def test_more_than_a_value(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(f"steps={value}")
    assert caught.value.code == "E0814"


def test_the_changed_text_has_a_name_of_its_own() -> None:
    assert overridden(Source("a.job", TEXT), {"steps": "5"}).name == "a.job with steps=5"


def test_a_text_that_does_not_parse() -> None:
    with pytest.raises(DiagnosticsError):
        overridden(Source("a.job", "job {"), {"steps": "5"})
