"""Words of the language that no spec uses: native code leaves the reference's state, bit for bit, and jobs learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.llvm.machine import host
from jobspec.ir.contract import BF16_PROFILE
from jobspec.passes.pipeline import compile_job
from tests.specs.both import by_reference, natively, workload

pytestmark = pytest.mark.usefixtures("every_step_is_shared_out")
HEAD = """job made
import std.nn
import std.loss
import std.optim
dim B=12, X=10, H=24, Y=4, L=2, Q=3, E=5, F=18
DATA
"""
TRAIN = """
train {
  seed = 3; steps = 6; batch = shuffle(d)
  loss = mean[B](loss.cross_entropy[Y](net(batch.x), batch.y))
  update all by optim.adam(.01)
}
"""
ORDERS = """layer net(x) {
  param wi: X -> H ~ normal(.3), wo: H -> Y ~ normal(.3)
  h = x @ wi
  repeat L {
    m = 1.5*h
    e = top[H->Q](m)
    picked = mean[Q](m[H: e])
    ranked = sort[H](m) - cumsum[H](m) % 1.5
    whole: B H = (iota[H] * 7 - 50) % (e[Q: 0] - 11)
    h = h + .1*f16(ranked) + bf16(picked) * .1 + .01*whole
  }
  h @ wo
}
"""
EVAL = "eval { on = d; every = 3; noisy = mean[B](net(batch.x + normal[B X](.1))[Y: 0]); all = sum[H](rand[H]()) }\n"


def test_orders_roundings_and_draws(tmp_path: Path) -> None:
    text = HEAD.replace(", E=5, F=18", "") + ORDERS + TRAIN + EVAL
    work = workload(text, tmp_path, 10)
    found, wanted = natively(work, 3), by_reference(work, 3)
    assert found.state == wanted.state
    assert found.metrics == wanted.metrics and found.losses == wanted.losses


BF16 = """layer net(x) {
  param wi: X -> H ~ normal(.3), wo: H -> Y ~ normal(.3), rec: H -> F ~ normal(.2), back: F -> H ~ normal(.2)
  h = x @ wi
  repeat L {
    param w: H -> F ~ normal(.3), v: F -> H ~ normal(.3)
    h = h + nn.relu(h @ w) @ v
  }
  s = scan Q (c: B H = 0) { c = h + .5*((c @ rec) @ back); c }
  s[Q: Q-1] @ wo
}
"""


def test_computing_in_bf16(tmp_path: Path) -> None:
    text = HEAD.replace(", E=5", "") + BF16 + TRAIN.replace("seed = 3", "seed = 3; compute = bf16")
    work = workload(text, tmp_path, 10)
    assert work.job.profile == BF16_PROFILE
    found, wanted = natively(work, 4), by_reference(work, 4)
    assert found.state == wanted.state and found.losses == wanted.losses
    plain = by_reference(workload(text.replace("; compute = bf16", ""), tmp_path / "f32", 10), 1)
    assert 0 < abs(plain.losses[0] - found.losses[0]) < 0.05
    assert np.isfinite(found.losses).all()


MOE = """layer moe(x) {
  param wr: H -> E ~ normal(.2)
  param w1 w3: E | H -> F ~ normal(.2), w2: E | F -> H ~ normal(.2)
  state bias: E = 0
  s = nn.sigmoid(x @ wr)
  e = top[E->Q](s + bias)
  if training {
    load = mean[B](sum[Q](one_hot[E](e)))
    bias := bias + .001*sign(mean[E](load) - load)
  }
  w = s[E: e]
  w = w / sum[Q](w)
  h = nn.silu(x @ w1[E: e]) * (x @ w3[E: e])
  sum[Q](w * (h @ w2[E: e]))
}
layer net(x) {
  param wi: X -> H ~ normal(.3), wo: H -> Y ~ normal(.3)
  h = x @ wi
  repeat L { h = h + moe(h) }
  h @ wo
}
"""
CHECK = "eval { on = d; every = 3; acc = mean[B](argmax[Y](net(batch.x)) == batch.y) }\n"


@pytest.mark.parametrize("compute", ["f32", "bf16"])
def test_mixture_of_experts(tmp_path: Path, compute: str) -> None:
    """Sigmoid router, bias that balances the load without a loss of its own, top experts, in a repeat."""
    text = HEAD + MOE + TRAIN.replace("seed = 3", f"seed = 3; compute = {compute}") + CHECK
    work = workload(text, tmp_path, 10)
    found, wanted = natively(work, 3), by_reference(work, 3)
    assert found.state == wanted.state
    assert found.losses == wanted.losses and found.metrics == wanted.metrics
    assert any(found.tensors["moe.bias"].reshape(-1))


def test_experts_in_pieces(tmp_path: Path) -> None:
    """`shards = 2`: the loss is that of the whole batch to rounding, and native code has the reference's bits."""
    text = HEAD + MOE + TRAIN
    cut = workload(text.replace("seed = 3", "seed = 3; shards = 2"), tmp_path, 10)
    found, wanted = natively(cut, 2), by_reference(cut, 2)
    assert found.state == wanted.state
    whole = natively(workload(text, tmp_path / "whole", 10), 2)
    np.testing.assert_allclose(found.losses, whole.losses, rtol=1e-5)


def test_no_weight_is_copied_for_a_token(tmp_path: Path) -> None:
    """No buffer of the step is as large as a map for each token."""
    text = HEAD.replace("B=12", "B=60") + MOE + TRAIN
    work = workload(text, tmp_path, 10)
    plan = compile_job(work.job, host())
    largest = max(b.type.size for b in plan.routine("step").buffers)
    assert largest < 60 * 3 * 24 * 18


def test_experts_learn(tmp_path: Path) -> None:
    text = HEAD.replace("B=12", "B=30") + MOE + TRAIN.replace("steps = 6", "steps = 60")
    losses = natively(workload(text, tmp_path, 10), 60).losses
    assert losses[-1] < 0.6 * losses[0]
