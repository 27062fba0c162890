"""A curriculum end to end: lengths, batches, mixtures and documents that change, learnt from a small text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.runtime.journal import read_history
from jobspec.runtime.outcome import Result
from jobspec.runtime.run import Order, run
from jobspec.store.home import Home
from jobspec.store.shards import write_tokens
from jobspec.verify.replaying import Means
from jobspec.verify.verify import verify
from tests.runtime.jobs import compiled, home_at, sets_of

TEXT = """job curriculum
dim B=8, T=8, S=T, V=8, D=8
data plain = tokens({plain}, u8, end=0)
data long  = tokens({long}, u8, end=0)
data held  = tokens({held}, u8, end=0)
def softmax[A](z) {{ e = exp(z - max[A](z)); e / sum[A](e) }}
def xent[A](z, t) {{ m = stop(max[A](z)); log(sum[A](exp(z - m))) + m - z[A: t] }}
layer net(tok, pos, doc) {{
  param emb: V -> D ~ normal(.5), wq wk wv: D -> D ~ normal(.4), head: D -> V ~ normal(.3)
  x = emb[V: tok] + .1*sin(pos)
  see: B T S = iota[S] <= iota[T] and doc[T->S] == doc
  a = softmax[S](select(see, dot[D](x @ wq, (x @ wk)[T->S]), -1e9))
  (x + dot[S](a, (x @ wv)[T->S])) @ head
}}
def objective(batch) = mean[B T](xent[V](net(batch.tok, batch.pos, batch.doc), batch.next))
optim momentum(p, g, lr) {{ state m = 0
  m := .8*m + g
  p := p - lr*m }}
train {{ seed = 3; roots = 7
  main = mix(plain=.75, long=.25)
  lr = .3
  loss = objective(batch)
  clip = 1.0
  update all by momentum(lr)
  batch = shuffle(main)
  phase short  {{ until = 640 }}
  phase longer {{ T = 16; B = 4; until = 1.28k }}
  phase anneal {{ T = 16; B = 4; steps = 8; batch = shuffle(mix(main=.4, long=.6))
    lr = lr.before * (1 - phase_frac) }}
}}
eval {{ on = held; every = 15; steps = 2; loss = objective(batch) }}
save {{ every = 4; keep = 1; also = [short, longer] }}
"""
BORDERS = (10, 20, 28)


def tokens(seed: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Documents in which each token is the one before plus the document's step; 0 ends them."""
    random, found = np.random.default_rng(seed), []
    while len(found) < count:
        at, step = random.integers(1, 8), random.integers(1, 3)
        found += [*((at + step * i) % 7 + 1 for i in range(random.integers(3, 12))), 0]
    return np.array(found[:count], np.uint8)


def stored(home: Home) -> Job:
    names = {"plain": (1, 700), "long": (2, 500), "held": (3, 300)}
    roots = {name: str(write_tokens(home.data(), tokens(*what)).root) for name, what in names.items()}
    return load(Source("curriculum.job", TEXT.format(**roots)))


def train(home: Home, backend: str = "reference", until: int | None = None) -> Result:
    job = stored(home)
    return run(compiled(job, backend), lambda: sets_of(job, home), home, Order(2, until))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(home_at(tmp_path_factory.mktemp("whole")))


def receipt(result: Result) -> bytes:
    assert result.receipt is not None
    return result.receipt.read_bytes()


def test_it_learns(whole: Result) -> None:
    losses = read_history(whole.folder).reports()["loss"][1]
    assert len(losses) == BORDERS[-1] and losses[:3].mean() > 1.9 and losses[-3:].mean() < 1.5


def test_the_rate_falls_in_the_last_phase(whole: Result) -> None:
    rates = read_history(whole.folder).reports()["lr"][1]
    assert (rates[:20] == np.float32(0.3)).all()
    assert np.allclose(rates[20:], 0.3 * (1 - np.arange(8) / 8), rtol=1e-6)


def test_records_and_checkpoints_at_borders(whole: Result) -> None:
    history = read_history(whole.folder)
    assert [record.step for record in history.records] == [7, 10, 14, 20, 21, 28]
    assert {saved.chain.done for saved in history.saved} == set(BORDERS)


def test_llvm_comes_to_the_same_receipt(whole: Result, tmp_path: Path) -> None:
    assert receipt(train(home_at(tmp_path), "llvm")) == receipt(whole)


@pytest.mark.parametrize("stops", [(9, 10, 11), (20, 27), (15,)])
def test_taken_up_anywhere_it_comes_to_the_same_receipt(
    whole: Result, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    home = home_at(tmp_path)
    for number, stop in enumerate(stops):
        assert train(home, "llvm" if number % 2 else "reference", stop).steps == stop
    assert receipt(train(home)) == receipt(whole)


def test_it_verifies(whole: Result) -> None:
    assert whole.receipt is not None
    home = home_at(whole.folder.path.parents[1])
    assert verify(whole.receipt, Means(home, "llvm", 2)).accepted
