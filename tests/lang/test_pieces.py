"""Pieces that the language must be able to say: each trains on one batch, and says what it should."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate
from tests.lang.computing import Bench, arrays

HEAD = """job pieces
import std.nn
import std.loss
import std.optim
dim B=6, T=5, D=4, H=3, N=4, E=2, C=3, G=2, R=2, K=2, P=1, L=2
data d = table(b3:00000000, x=f32[T D], y=f32, c=u8)
"""
TRAIN = """train { seed = 1; steps = 9; batch = shuffle(d)
  loss = LOSS
  update all by optim.adam(.03) }
run { mesh = [dp=1]; shard T D H N E C G R K P L over dp }
"""
SQUARED = "mean[B]((net(batch.x) - batch.y)^2)"

LSTM = """layer net(x) {
  param wx: D -> N H ~ normal(.5), wh: H -> N H ~ normal(.5), b: N H = 0, out: H -> P ~ normal(1)
  y = scan T (h: B H = 0, c: B H = 0) {
    z = x @ wx + h @ wh + b
    c = nn.sigmoid(z[N: 0])*c + nn.sigmoid(z[N: 1])*tanh(z[N: 2])
    h = nn.sigmoid(z[N: 3])*tanh(c)
    h
  }
  (y[T: T-1] @ out)[P: 0]
}"""
EXPERTS = """layer net(x) {
  param router: D -> E ~ normal(1), w1: E | D -> H ~ normal(.5), w2: E | H -> D ~ normal(.5)
  s = nn.softmax[E](x @ router)
  e = argmax[E](s)
  y = nn.silu(x @ w1[E: e]) @ w2[E: e]
  mean[T D](s[E: e] * y)
}"""
GROUPED = """layer net(x) {
  param wq: D -> G R K ~ normal(.5), wk wv: D -> G K ~ normal(.5), wo: G R K -> D ~ normal(.5)
  q = rotated(x @ wq)
  k = rotated(x @ wk)[T->T']
  v = (x @ wv)[T->T']
  s = dot[K](q, k)/sqrt(K)
  see: T T' = iota[T'] <= iota[T]
  mean[T D](dot[T'](nn.softmax[T'](select(see, s, -inf)), v) @ wo)
}
def rotated(x) {
  f: T P = iota[T] * 10000 ^ (-2*iota[P]/K)
  y = x[K->P R']
  a = y[R': 0]
  b = y[R': 1]
  stack[R'](a*cos(f) - b*sin(f), a*sin(f) + b*cos(f))[P R'->K]
}"""
VARIATIONAL = """layer net(x) {
  param enc: T D -> H ~ normal(.3), spread: T D -> H ~ normal(.1), dec: H -> P ~ normal(1)
  z = x @ enc + exp(x @ spread)*normal[B H]()
  (z @ dec)[P: 0]
}"""
SHARED = """layer block(x) { param w: D -> D' ~ normal(.3)
  nn.relu(x @ w)[D'->D] }
layer net(x) {
  x = a:block(a:block(x))
  repeat L { x = x + block(n:nn.rms_norm[D](x)) }
  mean[T D](x)
}"""


def job(layers: str, loss: str = SQUARED) -> Job:
    return load(Source("pieces.job", HEAD + layers + "\n" + TRAIN.replace("LOSS", loss)))


def losses(found: Job, steps: int) -> list[float]:
    step, state = differentiate(found.phases[0].step), evaluate(found.init, {})
    fields = {"batch.x": arrays(6, 5, 4), "batch.y": arrays(6, seed=1), "batch.c": np.arange(6, dtype=np.uint8) % 3}
    given = {feed.name: fields[feed.name] for feed in found.phases[0].batches.feeds}
    seen = []
    for number in range(steps):
        outputs = evaluate(step, {**state, **given, "step": np.array(number, np.int32)})
        state = {name: outputs[name] for name in state}
        seen.append(float(outputs["report.loss"]))
    return seen


@pytest.mark.parametrize(
    "layers", [LSTM, EXPERTS, GROUPED, VARIATIONAL, SHARED], ids=["lstm", "experts", "grouped", "vae", "shared"]
)
def test_trains(layers: str) -> None:
    seen = losses(job(layers), 9)
    assert all(np.isfinite(seen)) and seen[-1] < 0.9 * seen[0]


def test_two_objectives_two_optimizers() -> None:
    """As a GAN has them: each half of the weights follows its own number."""
    layers = (
        "layer net(x) { param a: D -> P ~ normal(1), b: D -> P' ~ normal(1)\n [mean[T P](x @ a), mean[T P'](x @ b)] }"
    )
    text = (
        HEAD
        + layers
        + "\n"
        + TRAIN.replace("loss = LOSS", "u, v = net(batch.x)\n loss = mean[B](u)\n other = mean[B](-v)")
    )
    text = text.replace(
        "update all by optim.adam(.03)", 'update "a" by optim.sgd(1) of loss\n update "b" by optim.sgd(1) of other'
    )
    found = load(Source("pieces.job", text))
    first, x = evaluate(found.init, {}), arrays(6, 5, 4)
    after = evaluate(differentiate(found.phases[0].step), {**first, "batch.x": x, "step": np.array(0, np.int32)})
    slope = x.mean((0, 1))[:, None]
    np.testing.assert_allclose(first["a"] - after["a"], slope, atol=1e-6)
    np.testing.assert_allclose(first["b"] - after["b"], -slope, atol=1e-6)


def test_low_rank_change_of_a_frozen_map() -> None:
    layers = """layer net(x) { param w: D -> H ~ normal(1), a: D -> P ~ normal(1), b: P -> H = 0
      u: D -> H = dot[P](a, b)
      sum[T H](x @ (w + u)) }"""
    text = (
        (HEAD + layers + "\n" + TRAIN.replace("LOSS", SQUARED))
        .replace("update all", 'freeze "w"\n update "?"')
        .replace('"?"', "a, b")
    )
    found = load(Source("pieces.job", text))
    assert [s.name for s in found.state] == ["w", "a", "b", "a/m", "a/v", "b/m", "b/v"]
    assert found.phases[0].step.output("w").op == "input"
    seen = losses(found, 9)
    assert seen[-1] < 0.9 * seen[0]


ORTHO = """def ortho[I O](x) {
  x = x / (sqrt(sum[I O](x*x)) + 1e-7)
  repeat 5 {
    a = dot[O](x, x[I->I'])
    b = -4.7750*a + 2.0315*dot[I''](a[I'->I''], a[I->I''])
    x = 3.4445*x + dot[I'](b, x[I->I'])
  }
  x
}"""


def test_newton_schulz_of_muon() -> None:
    """All singular values come near 1, whatever they were."""
    x = arrays(4, 6)
    bench = Bench("ortho[A C](x)", {"A": 4, "C": 6}, {"x": (x, "A C")}, ORTHO)
    found, axes = bench.array()
    assert axes == "A C"
    values = np.linalg.svd(found, compute_uv=False)
    assert values.min() > 0.6 and values.max() < 1.3


MUON = """optim muon(p: I -> O, g, lr, mu=.95) {
  state m = 0
  m := mu*m + (1 - mu)*g
  u = ortho[I O](m) if I <= O else ortho[O I](m)
  p := p - lr*sqrt(max(1, O/I))*u
}
"""


def test_muon_takes_maps_with_several_axes() -> None:
    """I and O of the pattern stand for all axes before and behind the arrow."""
    train = TRAIN.replace("LOSS", SQUARED).replace("optim.adam(.03)", "muon(.1)")
    found = load(Source("pieces.job", f"{HEAD}{ORTHO}\n{MUON}{GROUPED}\n{train}"))
    before, step = evaluate(found.init, {}), differentiate(found.phases[0].step)
    given = {"batch.x": arrays(6, 5, 4), "batch.y": arrays(6, seed=1), "step": np.array(0, np.int32)}
    after = evaluate(step, {**before, **given})
    moved = (before["wq"] - after["wq"]).reshape(4, 8) / (0.1 * 2**0.5)
    values = np.linalg.svd(moved, compute_uv=False)
    assert values.min() > 0.4 and values.max() < 1.3
