"""`shards`: the batch in pieces gives the gradients of the whole batch, folded by the adjacent balanced tree."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobspec import api
from jobspec.backends.llvm.machine import host
from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.job import job_hash
from jobspec.ir.job import Job
from jobspec.ir.program import body_of, order
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job, lower_program
from jobspec.store.home import Home
from jobspec.store.shards import write_table

Array = NDArray[Any]
Arrays = dict[str, Array]
ROOT = "b3:" + "0" * 64
B = 12
#: half a unit in the last place of 1
ROUNDING = 2.0**-24

HEAD = """job j
import std.nn
dim B={batch}, X=5, H=8, Y=7, L=2, E=3
data d = table({root}, x=f32[X], y=u8)
def xent[A](z, t) {{ m = stop(max[A](z))
  log(sum[A](exp(z - m))) + m - z[A: t] }}
optim keep(p, g) {{ state kept = 0
  kept := g
  p := p - .1*g }}
"""
PLAIN = """layer net(x) {
  param w: X -> H ~ normal(.5), b: H = 0
  h = x @ w + b
  repeat L {
    param u: H -> H' ~ normal(.3), g: H = 1
    h = h + (tanh(h * g) @ u)[H'->H]
  }
  param v: Y H ~ normal(.5), s: Y H = .3
  dot[H](h, v * exp(s))
}
"""
DROPPED = PLAIN.replace("repeat L {", "repeat L {\n    h = select(rand[B H]() < .3, 0, h)")
ROUTED = """layer routed(x) {
  param wr: H -> E ~ normal(.4), u: E | H -> H' ~ normal(.3)
  state bias: E = 0, seen: E = 0
  s = 1 + tanh(x @ wr)
  e = argmax[E](s + bias)
  if training {
    load = mean[B](one_hot[E](e))
    bias := bias + .1*sign(mean[E](load) - load)
    seen := seen + load
  }
  x + s[E: e] * (x @ u[E: e])[H'->H]
}
layer net(x) {
  param w: X -> H ~ normal(.5)
  h = x @ w
  repeat L { h = a:routed(h) }
  param v: H -> Y ~ normal(.5)
  b:routed(h) @ v
}
"""
NORMED = """layer net(x) {
  param w: X -> H ~ normal(.5), v: H -> Y ~ normal(.5)
  n1:nn.batch_norm[H B](x @ w) @ v
}
"""
LOSS = "mean[B](xent[Y](net(batch.x), batch.y))"


def text(net: str, shards: str, loss: str = LOSS, batch: int = B, root: str = ROOT, more: str = "clip = .05") -> str:
    setting = f"shards = {shards}" if shards else ""
    unused = "run { mesh = [dp=1]; shard L E Y H over dp }"
    train = f"train {{ seed = 3; steps = 3; batch = shuffle(d); {setting}\n{more}\nloss = {loss}\n"
    return HEAD.format(batch=batch, root=root) + net + train + "update all by keep() }\n" + unused + "\n"


def made(*given: str, **named: Any) -> Job:
    return load(Source("j.job", text(*given, **named)))


def batch(first: int = 0, last: int = B) -> Arrays:
    random = np.random.default_rng(5)
    x, y = random.normal(size=(B, 5)).astype(np.float32), random.integers(0, 7, B).astype(np.uint8)
    return {"batch.x": x[first:last], "batch.y": y[first:last]}


def stepped(job: Job, feeds: Mapping[str, Array], step: int = 0) -> Arrays:
    program = lower_program(job.phases[0].step, checked=True)
    return evaluate(program, {**evaluate(job.init, {}), **feeds, "step": np.array(step, np.int32)})


def kept(found: Arrays) -> Arrays:
    return {name: value for name, value in found.items() if name.endswith("/kept")}


def folded(pieces: list[Array]) -> Array:
    """The adjacent balanced tree: neighbours are added, an odd last one is carried up."""
    while len(pieces) > 1:
        pairs = [a + b for a, b in zip(pieces[::2], pieces[1::2], strict=False)]
        pieces = pairs + pieces[2 * len(pairs) :]
    return pieces[0]


SUM = f"sum[B](xent[Y](net(batch.x), batch.y)) / {B}"


@pytest.mark.parametrize("count", [2, 3, 4, 6, 12])
def test_the_fold_is_the_adjacent_balanced_tree(count: int) -> None:
    """Gradients of each piece, by a job that has nothing but that piece, folded in numpy: the same bits."""
    size = B // count
    alone = made(PLAIN, "", SUM, batch=size, more="")
    pieces = [stepped(alone, batch(i * size, (i + 1) * size)) for i in range(count)]
    found = stepped(made(PLAIN, str(count), SUM, more=""), batch())
    for name in [*kept(found), "report.loss"]:
        want = folded([piece[name] for piece in pieces])
        np.testing.assert_array_equal(found[name].view(np.uint32), want.view(np.uint32), err_msg=name)
    assert folded([np.float32(x) for x in (1e8, 1, -1e8, 1, 5)]) == np.float32(5)  # ((1e8+1)+(-1e8+1))+5


@pytest.mark.parametrize("net", [PLAIN, DROPPED], ids=["plain", "dropped"])
@pytest.mark.parametrize("count", ["2", "3", "12", "per_piece(4)"])
def test_gradients_are_those_of_the_whole_batch(net: str, count: str) -> None:
    """A value of one example has the same bits in any piece (clause 1.2), so only the sum over the examples is folded
    in another order: at most B + 2 roundings on each side, of sums no larger than the sum of the examples' sizes."""
    whole, found = (stepped(made(net, n, more=""), batch()) for n in ("", count))
    examples = [sized(net, i) for i in range(B)]
    for name in [*kept(whole), "report.loss"]:
        most = 2 * (B + 2) * ROUNDING * sum(np.abs(e[name].astype(np.float64)) for e in examples)
        assert np.all(np.abs(found[name].astype(np.float64) - whole[name]) <= most), name
        assert np.any(whole[name] != 0)


def sized(net: str, place: int) -> Arrays:
    """Gradients of the example at `place` alone, in its place: the others' losses are not counted."""
    one = f"sum[B](select(iota[B] == {place}, xent[Y](net(batch.x), batch.y), 0)) / {B}"
    return stepped(made(net, "", one, more=""), batch())


def test_clip_is_of_the_whole_gradient() -> None:
    whole, found = (stepped(made(PLAIN, n), batch()) for n in ("", "4"))
    np.testing.assert_allclose(found["report.grad_norm"], whole["report.grad_norm"], rtol=1e-6)
    assert whole["report.grad_norm"] > 0.05
    norm = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in kept(found).values()))
    np.testing.assert_allclose(norm, 0.05, rtol=1e-6)


def test_a_router_in_a_repeat_keeps_the_load_of_the_whole_batch() -> None:
    whole, found = (stepped(made(ROUTED, n), batch()) for n in ("", "4"))
    for name in ("net.a.seen", "net.b.bias"):
        name = name.removeprefix("net.")
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-6, err_msg=name)
    assert whole["a.seen"].shape == (2, 3)
    np.testing.assert_allclose(whole["a.seen"].sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found["a.bias"], whole["a.bias"])


def test_per_piece_statistics_are_of_the_piece_and_the_state_is_their_mean() -> None:
    job = made(NORMED, "per_piece(3)", more="")
    found, init = stepped(job, batch()), evaluate(job.init, {})
    h = batch()["batch.x"].astype(np.float64) @ init["w"]
    pieces = h.reshape(3, 4, -1)
    np.testing.assert_allclose(found["n1.mu"], 0.1 * pieces.mean(1).mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["n1.var"], 0.9 + 0.1 * pieces.var(1, ddof=1).mean(0), rtol=1e-5)
    alone = made(NORMED, "", batch=4, more="")
    parts = [stepped(alone, batch(4 * i, 4 * i + 4)) for i in range(3)]
    for name in [*kept(found), "report.loss"]:
        want = np.mean([p[name].astype(np.float64) for p in parts], axis=0)
        np.testing.assert_allclose(found[name], want, rtol=1e-4, atol=1e-6, err_msg=name)


TWO = """layer one(x) {
  param w: X -> H ~ normal(.5)
  tanh(x @ w)
}
layer two(h) {
  param v: H -> Y ~ normal(.5)
  h @ v
}
"""


@pytest.mark.parametrize("count", ["4", "per_piece(4)"])
def test_each_objective_is_cut(count: str) -> None:
    def job(shards: str) -> Job:
        whole = text(TWO, shards, "-mean[B](xent[Y](z, batch.y)) + .01*sum[X H](1 + 0*h[B: 0])", more="")
        bare = whole.replace(" + .01*sum[X H](1 + 0*h[B: 0])", "")
        lets = "h = a:one(batch.x)\nz = b:two(h)\nd_loss = mean[B](xent[Y](b:two(stop(h)), batch.y))\nloss"
        both = 'update "a.*" by keep()\nupdate "b.*" by keep() of d_loss }'
        return load(Source("j", bare.replace("loss", lets, 1).replace("update all by keep() }", both)))

    whole, found = stepped(job(""), batch()), stepped(job(count), batch())
    for name in kept(whole):
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4, atol=1e-7, err_msg=name)


PENALISED = """layer net(x) {
  param w: X -> H ~ normal(.5), v: H -> Y ~ normal(.5)
  [(x @ w) @ v, .5*sum[X H](w*w)]
}
"""


@pytest.mark.parametrize("count", ["3", "per_piece(3)"])
def test_what_depends_on_no_example_counts_once(count: str) -> None:
    """A penalty on weights in the loss is shared out over the pieces."""

    def job(shards: str) -> Job:
        both = "mean[B](xent[Y](z, batch.y)) + penalty"
        return load(Source("j", text(PENALISED, shards, both, more="z, penalty = net(batch.x)")))

    whole, found = stepped(job(""), batch()), stepped(job(count), batch())
    for name in [*kept(whole), "report.loss"]:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-5, atol=1e-7, err_msg=name)


def nodes_in(job: Job) -> int:
    def count(roots: Any) -> int:
        nodes = order(roots)
        return len(nodes) + sum(count(body_of(n).results) for n in nodes if n.op == "loop")

    return count(job.phases[0].step.results)


def test_the_program_grows_with_the_loops_not_with_the_pieces() -> None:
    lengths = [nodes_in(made(PLAIN, str(n), batch=1024)) for n in (2, 4, 32, 1024)]
    assert lengths[1] - lengths[0] == (lengths[3] - lengths[2]) / 5 == (lengths[2] - lengths[1]) / 3


WIDE = """layer net(x) {
  param w: X -> H ~ normal(.5), u: H -> H' ~ normal(.5), v: H' -> Y ~ normal(.5)
  (tanh(x @ w) @ u) @ v
}
"""


@pytest.mark.parametrize("count", [4, 64])
def test_memory_is_one_piece_and_a_gradient_set_per_loop(count: int) -> None:
    """State: parameters and what `keep` keeps. An example's activations are a thousandth of a gradient set."""
    whole = text(WIDE, str(count), batch=64, more="").replace("H=8", "H=1024")
    job = load(Source("j", whole))
    routine = compile_job(job, host()).routines[1]
    state = sum(slot.type.nbytes for slot in job.state)
    sets = (routine.arena - state) / (state / 2)
    assert log2(count) - 0.1 < sets < log2(count) + 1.1, sets


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("shards"))


@pytest.mark.parametrize(
    ("net", "count"),
    [(DROPPED, "6"), (DROPPED, "4"), (ROUTED, "3"), (NORMED, "per_piece(4)"), (DROPPED, "per_piece(3)")],
)
def test_native_code_gives_the_same_bits(net: str, count: str, home: Home) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 5)).astype("<f4"), random.integers(0, 7, 40).astype("u1")
    root = str(write_table(home.data(), {"x": x, "y": y}).root)
    spec = api.load(text(net, count, root=root), home=home.folder)
    runs = [api.run(spec, on, home=home.folder, again=True, threads=2) for on in ("llvm", "reference")]
    assert runs[0].state == runs[1].state
    np.testing.assert_array_equal(runs[0].metrics["step.loss"], runs[1].metrics["step.loss"])


def test_the_count_is_part_of_the_job() -> None:
    found = [str(job_hash(made(PLAIN, n))) for n in ("", "1", "2", "per_piece(2)")]
    assert found[0] == found[1] and len(set(found)) == 3
