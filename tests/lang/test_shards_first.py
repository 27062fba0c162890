"""`shards` with totals that are known before the pieces: masks' sums, experts' loads. The objective stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec import api
from jobspec.ir.job import Job
from jobspec.ir.program import Node, body_of, order
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.store.home import Home
from jobspec.store.shards import write_table
from tests.lang.test_shards import HEAD, LOSS, PLAIN, ROOT, Arrays, B, batch, kept, stepped, text

MASKED = "sum[B]((batch.y > 2)*xent[Y](z, batch.y)) / sum[B](batch.y > 2)"
STOPPED = "sum[B](xent[Y](z, batch.y)) / stop(sum[B](exp(z[Y: 0])))"
#: weights of each example that the batch makes add up to B; and a batch that is centred
WEIGHED = "mean[B](batch.y/mean[B](batch.y)*xent[Y](net(batch.x - mean[B](batch.x)), batch.y))"
#: two experts for each example, and Switch Transformer's balance: a product of two means over the batch
BALANCED = """layer moe(x) {
  param router: H -> E ~ normal(.4), u: E | H -> H' ~ normal(.3)
  z = x @ router
  e = top[E->Q](z)
  y = sum[Q](nn.softmax[Q](z[E: e])*tanh(x @ u[E: e])[H'->H])
  share = mean[B](sum[Q](one_hot[E](e)))
  [x + y, sum[E](share*mean[B](nn.softmax[E](z)))]
}
layer net(x) {
  param w: X -> H ~ normal(.5), v: H -> Y ~ normal(.5)
  h = x @ w
  uneven = 0*mean[B H](h)
  repeat L {
    h, u = moe(h)
    uneven = uneven + u
  }
  [h @ v, uneven]
}
"""
#: an example chooses a map for what is no example's own
CHOOSING = """layer net(x) {
  param w: X -> Y ~ normal(.5), u: Y | H -> Y' ~ normal(.5), c: H ~ normal(1)
  x @ w + (c @ u[Y: argmax[Y](x @ w)])[Y'->Y]
}
"""
UNEVEN = "mean[B](xent[Y](z, batch.y)) + .3*uneven"


def written(shards: str, loss: str, root: str = ROOT) -> str:
    more = "clip = .05\nz = net(batch.x)" if "z" in loss else "clip = .05"
    return text(PLAIN, shards, loss, root=root, more=more)


def objective(shards: str, loss: str) -> Job:
    return load(Source("j.job", written(shards, loss)))


def balanced(shards: str, root: str = ROOT) -> str:
    both = text(BALANCED, shards, UNEVEN, root=root, more="z, uneven = net(batch.x)")
    return both.replace(HEAD.format(batch=B, root=root), HEAD.format(batch=B, root=root).replace("E=3", "E=4, Q=2"))


def close(whole: Arrays, found: Arrays) -> None:
    """Sums of twelve examples in two orders: a few roundings of the largest element."""
    assert any(np.any(x != 0) for x in kept(whole).values())
    for name in [*kept(whole), "report.loss"]:
        np.testing.assert_allclose(
            found[name], whole[name], rtol=0, atol=4e-6 * np.abs(whole[name]).max(), err_msg=name
        )


@pytest.mark.parametrize("count", ["2", "3", "12"])
@pytest.mark.parametrize("loss", [MASKED, STOPPED, WEIGHED], ids=["masked", "stopped", "weighed"])
def test_a_scale_from_the_whole_batch(loss: str, count: str) -> None:
    close(*(stepped(objective(n, loss), batch()) for n in ("", count)))


@pytest.mark.parametrize("count", ["2", "4", "6"])
def test_experts_are_balanced_over_the_whole_batch(count: str) -> None:
    close(*(stepped(load(Source("j.job", balanced(n))), batch()) for n in ("", count)))


@pytest.mark.parametrize("count", ["3", "4"])
def test_examples_choose_maps_for_what_all_share(count: str) -> None:
    close(*(stepped(load(Source("j.job", text(CHOOSING, n, more=""))), batch()) for n in ("", count)))


def loops(nodes: list[Node]) -> int:
    return sum(1 + loops(order(body_of(n).results)) for n in nodes if n.op == "loop")


def test_a_mask_takes_one_more_pass_and_no_mask_none() -> None:
    plain, masked = (loops(objective("4", loss).phases[0].step.nodes()) for loss in (LOSS, MASKED))
    # a pass over four pieces is two loops, one in the other
    assert masked == plain + 2


def test_two_masks_share_a_pass() -> None:
    twice = MASKED + " + sum[B]((batch.y < 5)*z[Y: 0]) / sum[B](batch.y < 5)"
    one, two = (loops(objective("4", loss).phases[0].step.nodes()) for loss in (MASKED, twice))
    assert two == one


@pytest.mark.parametrize("kind", ["masked", "balanced"])
def test_native_code_gives_the_same_bits(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = Home(tmp_path_factory.mktemp("first"))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 5)).astype("<f4"), random.integers(0, 7, 40).astype("u1")
    root = str(write_table(home.data(), {"x": x, "y": y}).root)
    both = balanced("3", root) if kind == "balanced" else written("4", MASKED, root)
    spec = api.load(both, home=home.folder)
    runs = [api.run(spec, on, home=home.folder, again=True, threads=2) for on in ("llvm", "reference")]
    assert runs[0].state == runs[1].state
    np.testing.assert_array_equal(runs[0].metrics["step.loss"], runs[1].metrics["step.loss"])
