"""Evaluations with dims of their own: a smaller batch, longer windows."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec import api
from jobspec.ir.codec.job import job_hash
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.diagnostics import DiagnosticsError
from jobspec.lang.override import overridden
from jobspec.lang.source import Source
from jobspec.store.home import Home
from jobspec.store.shards import write_tokens

TEXT = """job j
dim B=8, T=6, S=T, V=16, D=4
data words = tokens(WORDS, u8)
layer net(tok) {
  param e: V -> D ~ normal(.5), w: D = 1
  h = e[V: tok]
  see: B T S D = select(iota[S] <= iota[T], 1, 0) * h[T->S]
  sum[D](w * sum[S](see))
}
def error(batch) = mean[B T](abs(net(batch.tok) - batch.next))
optim sgd(p, g, lr) { p := p - lr*g }
train { seed = 1; steps = 2; batch = shuffle(words)
  loss = error(batch)
  update all by sgd(.01) }
eval { every = 1; on = words; steps = 6; error = error(batch) }
eval small { every = 1; on = words; steps = 24; B = 2; error = error(batch) }
eval long { every = 1; on = words; steps = 4; T = 2*T; B = 6; error = error(batch) }
"""


def made(text: str = TEXT) -> Job:
    return load(Source("j.job", text.replace("WORDS", "b3:" + "0" * 64)))


def test_sizes_and_what_follows_them() -> None:
    usual, small, long = made().evaluations
    shapes = [
        (e.batches.size, e.count, e.batches.stream.window, e.batches.feeds[0].type.shape) for e in made().evaluations
    ]
    assert shapes == [(8, 6, 6, (8, 6)), (2, 24, 6, (2, 6)), (6, 4, 12, (6, 12))]
    assert (usual.name, small.name, long.name) == ("eval", "small", "long")
    assert made().phases[0].batches.size == 8 and dict(made().sizes)["T"] == 6


def test_they_can_be_set_and_leave_the_training_as_it_is() -> None:
    source = Source("j.job", TEXT.replace("WORDS", "b3:" + "0" * 64))
    other = load(overridden(source, {"eval.small.B": "4"}))
    assert job_hash(other) == job_hash(made()) and other.evaluations[1].batches.size == 4


def test_the_same_windows_in_other_batches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """48 windows in 6 batches of 8 or 24 of 2: the same mean but for its rounding; the same bits on every backend."""
    home = Home(tmp_path_factory.mktemp("dims"))
    tokens = np.random.default_rng(0).integers(0, 16, 2000).astype("u1")
    root = str(write_tokens(home.data(), tokens).root)
    spec = api.load(TEXT.replace("WORDS", root), home=home.folder)
    run, again = (api.run(spec, on, home=home.folder, again=True) for on in ("llvm", "reference"))
    np.testing.assert_allclose(run.metrics["error"], run.metrics["small.error"], rtol=1e-6)
    assert not np.array_equal(run.metrics["error"], run.metrics["long.error"])
    assert {n: x.tobytes() for n, x in run.metrics.items()} == {n: x.tobytes() for n, x in again.metrics.items()}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("B = 2", "Q = 2", "E0201"), ("B = 2", "B = 2; B = 3", "E0310"), ("B = 2", "D = 2", "E0344")],
)
def test_what_is_refused(old: str, new: str, code: str) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        made(TEXT.replace(old, new))
    assert {d.code for d in caught.value.diagnostics} == {code}
