"""Changed texts of jobs: each is a job or is refused with an error, whatever was changed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobspec.ir.errors import CompileError
from jobspec.lang.check import load
from jobspec.lang.source import Source
from tests.lang import test_pieces as pieces

TOKEN = re.compile(r"[A-Z][A-Za-z0-9]*'*|[a-z_][a-z0-9_]*|\d[\d.]*|\S")
EXTRA = ("0", "1", "1e400", "99999999999", ".5", "B", "x", "-1")
BODIES = (pieces.LSTM, pieces.EXPERTS, pieces.GROUPED, pieces.VARIATIONAL, pieces.SHARED)
TEXTS = [
    *(path.read_text("utf-8") for path in sorted((Path(__file__).parent / "refused").glob("*.job"))),
    *(path.read_text("utf-8") for path in sorted((Path(__file__).parents[2] / "specs").glob("*.job"))),
    *(f"{pieces.HEAD}{body}\n{pieces.TRAIN.replace('LOSS', pieces.SQUARED)}" for body in BODIES),
]


def kind(token: str) -> str:
    first = token[0]
    return "axis" if first.isupper() else "name" if first.islower() else "number" if first.isdigit() else "sign"


def changed(text: str, rng: random.Random) -> str:
    """One to three tokens exchanged, mostly for others of their kind, or left out."""
    for _ in range(rng.randint(1, 3)):
        tokens = list(TOKEN.finditer(text))
        at = rng.choice(tokens)
        text = text[: at.start()] + instead(at.group(), [t.group() for t in tokens], rng) + text[at.end() :]
    return text


def instead(token: str, others: Sequence[str], rng: random.Random) -> str:
    if rng.random() < 0.15:
        return ""
    like = [o for o in others if kind(o) == kind(token)] if rng.random() < 0.8 else others
    return rng.choice([*like, *EXTRA])


def is_a_job(text: str) -> bool:
    try:
        load(Source("changed.job", text))
    except CompileError:
        return False
    return True


@pytest.mark.parametrize("seed", range(8))
def test_changed_texts(seed: int) -> None:
    rng = random.Random(seed)
    results = [is_a_job(changed(rng.choice(TEXTS), rng)) for _ in range(150)]
    assert not all(results)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_changed_texts(seed: int) -> None:
    rng = random.Random(seed)
    results = [is_a_job(changed(rng.choice(TEXTS), rng)) for _ in range(5000)]
    assert any(results) and not all(results)


def test_deep_nesting_and_long_chains_are_refused() -> None:
    chain = "\n".join(f"def f{i}(x) = f{i - 1}(x) + 1" for i in range(1, 120))
    text = f"job j\ndef f0(x) = x\n{chain}\ndim B=2\ndata d = table(b3:00000000, y=f32)\ntrain {{ seed = 1; steps = 1\n"
    text += "batch = shuffle(d); loss = mean[B](f119(batch.y)) }"
    with pytest.raises(CompileError) as caught:
        load(Source("deep.job", text))
    assert caught.value.code == "E0264"
