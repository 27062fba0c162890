"""The library of this edition says what PyTorch's functions of the same names say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program, order
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate
from tests.lang.computing import Bench, arrays

torch = pytest.importorskip("torch", reason="the library is compared with PyTorch: pip install '.[oracle]'")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

DIMS = {"B": 5, "C": 4, "D": 8, "H": 2, "K": 4, "T": 6, "Y": 6, "X": 6, "O": 3, "M": 3, "N": 3, "P": 2, "Q": 2, "V": 7}
STD = "import std.nn\nimport std.loss\nimport std.schedule"


def value(text: str, **inputs: tuple[np.ndarray, str]) -> Any:
    bench = Bench(text, DIMS, inputs, STD)
    return torch.from_numpy(bench.array()[0])


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-6)


def t(array: np.ndarray) -> Any:
    return torch.from_numpy(array)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("relu", "relu"),
        ("leaky_relu", "leaky_relu"),
        ("sigmoid", "sigmoid"),
        ("silu", "silu"),
        ("gelu", "gelu"),
        ("softplus", "softplus"),
    ],
)
def test_functions_of_one_value(ours: str, theirs: str) -> None:
    x = 4 * arrays(5, 4)
    close(value(f"nn.{ours}(x)", x=(x, "B C")), getattr(F, theirs)(t(x)))


def test_small_values_keep_their_digits() -> None:
    """log1p and softplus within 2 ulp of float64, where 1 + x has lost most of x, or all of it."""
    near = [-0.9, -1e-4, 1e-8, 3e-5, 0.01, 0.7, 1.0, 300.0]
    below = [-0.5, -1.0, -5.0, -10.0, -17.0, -20.0, -80.0, 3.0]
    for name, x, exact in (("log1p", near, torch.log1p), ("softplus", below, F.softplus)):
        array = np.array(x, np.float32)
        found = value(f"nn.{name}(x)", x=(array, "C")).double()
        torch.testing.assert_close(found, exact(torch.from_numpy(array).double()), rtol=2.0**-22, atol=0)


def test_functions_along_an_axis() -> None:
    x = 9 * arrays(5, 4)
    close(value("nn.softmax[C](x)", x=(x, "B C")), F.softmax(t(x), 1))
    close(value("nn.log_sum_exp[B C](x)", x=(x, "B C")), torch.logsumexp(t(x), (0, 1)))
    close(value("nn.variance[B](x)", x=(x, "B C")), t(x).var(0, correction=0))
    close(value("nn.gelu_tanh(x)", x=(x, "B C")), F.gelu(t(x), approximate="tanh"))


def test_losses() -> None:
    z, label, y = arrays(5, 4), np.array([0, 3, 1, 2, 2], np.int32), arrays(5, 4, seed=1)
    ids = t(label).long()
    given = {"z": (z, "B C"), "y": (y, "B C"), "label": (label, "B")}
    close(value("mean[B](loss.cross_entropy[C](z, label))", **given), F.cross_entropy(t(z), ids))
    close(
        value("mean[B](loss.cross_entropy[C](z, label, smooth=.1))", **given),
        F.cross_entropy(t(z), ids, label_smoothing=0.1),
    )
    close(value("loss.mse[B C](z, y)", **given), F.mse_loss(t(z), t(y)))
    close(value("loss.l1[B C](z, y)", **given), F.l1_loss(t(z), t(y)))
    close(value("loss.huber[B C](z, y, .7)", **given), F.huber_loss(t(z), t(y), delta=0.7))
    close(value("loss.bce[B C](z, nn.sigmoid(y))", **given), F.binary_cross_entropy_with_logits(t(z), t(y).sigmoid()))


SLOPES = """job j
import std.nn
import std.loss
dim B=1, X=5
data d = table(b3:00000000, x=f32[X])
optim keep(p, g) {{ p := g }}
layer net(x) {{ param w: X = 0
  {body} }}
train {{ seed = 1; steps = 1; batch = shuffle(d)
  loss = sum[B X](net(batch.x))
  update all by keep() }}
"""


def slope(body: str, x: np.ndarray) -> Any:
    """The gradient of `body` by w, which is 0."""
    job = load(Source("j.job", SLOPES.format(body=body)))
    given = {**evaluate(job.init, {}), "batch.x": x[None], "step": np.array(0, np.int32)}
    return t(evaluate(differentiate(job.phases[0].step), given)["w"])


def against(loss: Any, x: Any, target: float) -> Any:
    return loss(x, torch.full_like(x, target), reduction="none")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("nn.relu(w + x)", F.relu),
        ("nn.sigmoid(w + x)", torch.sigmoid),
        ("nn.silu(w + x)", F.silu),
        ("nn.gelu(w + x)", F.gelu),
        ("nn.gelu_tanh(w + x)", lambda x: F.gelu(x, approximate="tanh")),
        ("nn.leaky_relu(w + x)", F.leaky_relu),
        ("nn.softplus(w + x)", F.softplus),
        ("loss.bce[X](w + x, .3) + 0*x", lambda x: against(F.binary_cross_entropy_with_logits, x, 0.3)),
        ("loss.huber[X](w + x, .3) + 0*x", lambda x: against(F.huber_loss, x, 0.3)),
        ("loss.l1[X](w + x, 0) + 0*x", lambda x: against(F.l1_loss, x, 0)),
    ],
)
def test_slopes(ours: str, theirs: Any) -> None:
    """At 0 as well, where a network's last layer often begins."""
    x = np.array([0, 1, -1, 30, -30], np.float32)
    at = t(x).requires_grad_()
    close(slope(ours, x), torch.autograd.grad(theirs(at).sum(), at)[0])


def layer(text: str, **inputs: tuple[np.ndarray, str]) -> tuple[Any, dict[str, Any]]:
    """The value, and the first values of the parameters."""

    bench = Bench(text, DIMS, inputs, STD)
    found = torch.from_numpy(bench.array()[0])
    held = bench.work.registry.ordered()
    first = evaluate(Program((), tuple((h.slot.name, h.initial) for h in held)), {})
    return found, {name: torch.from_numpy(array) for name, array in first.items()}


def test_linear_and_embedding() -> None:
    x, ids = arrays(5, 4), np.array([1, 6, 0, 0, 3], np.int32)
    found, p = layer("nn.linear[C D](x)", x=(x, "B C"))
    close(found, F.linear(t(x), p["linear.w"].T, p["linear.b"]))
    assert p["linear.w"].abs().max() <= 0.5 and p["linear.w"].std() > 0.2
    found, p = layer("e:nn.embedding[V D](ids)", ids=(ids, "B"))
    close(found, p["e.w"][ids])


def test_norms() -> None:
    x = arrays(5, 6, 4) + 1
    close(layer("nn.layer_norm[C](x)", x=(x, "B T C"))[0], F.layer_norm(t(x), (4,)))
    close(layer("nn.layer_norm[T C](x, bias=false)", x=(x, "B T C"))[0], F.layer_norm(t(x), (6, 4)))
    close(layer("nn.rms_norm[C](x)", x=(x, "B T C"))[0], F.rms_norm(t(x), (4,), eps=1e-6))


def test_batch_norm_keeps_what_pytorch_keeps() -> None:
    x = arrays(5, 6, 4) + 1
    bench = Bench("nn.batch_norm[C B T](x)", DIMS, {"x": (x, "B T C")}, STD)
    found = torch.from_numpy(bench.array()[0])
    mean, var = torch.zeros(4), torch.ones(4)
    expected = F.batch_norm(t(x).permute(0, 2, 1), mean, var, training=True).permute(0, 2, 1)
    close(found, expected)
    for name, theirs in (("batch_norm.mu", mean), ("batch_norm.var", var)):
        close(state(bench, name), theirs)


def state(bench: Bench, name: str) -> Any:
    """The new value of a state."""

    node = bench.work.root.assigned[name].node
    held = bench.work.registry.ordered()
    first = evaluate(Program((), tuple((h.slot.name, h.initial) for h in held)), {})
    inputs = tuple(n for n in order([node]) if n.op == "input")
    return torch.from_numpy(evaluate(Program(inputs, (("y", node),)), {**bench.given, **first})["y"])


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (2, 1)])
def test_convolution(stride: int, pad: int) -> None:
    x = arrays(5, 6, 6, 4)
    found, p = layer(f"nn.conv2d[C O Y X M N](x, {stride}, {pad})", x=(x, "B Y X C"))
    weight = p["conv2d.w"].permute(3, 2, 0, 1)
    expected = F.conv2d(t(x).permute(0, 3, 1, 2), weight, p["conv2d.b"], stride, pad)
    close(found, expected.permute(0, 2, 3, 1))


@pytest.mark.parametrize(("stride", "pad"), [(2, 0), (1, 0), (2, 1)])
def test_pools(stride: int, pad: int) -> None:
    x = arrays(5, 6, 6, 4)
    there = t(x).permute(0, 3, 1, 2)
    found = value(f"nn.max_pool[Y X P Q](x, {stride}, {pad})", x=(x, "B Y X C"))
    close(found, F.max_pool2d(there, 2, stride, pad).permute(0, 2, 3, 1))
    found = value(f"nn.avg_pool[Y X P Q](x, {stride}, {pad})", x=(x, "B Y X C"))
    close(found, F.avg_pool2d(there, 2, stride, pad).permute(0, 2, 3, 1))


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal: bool) -> None:
    x = arrays(5, 6, 8)
    found, p = layer(f"nn.attention[D H K T](x, {str(causal).lower()}, 1)", x=(x, "B T D"))
    q, k, v = (torch.einsum("btd,dhk->bhtk", t(x), p[f"attention.{name}"]) for name in ("wq", "wk", "wv"))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(found, torch.einsum("bhtk,hkd->btd", out, p["attention.wo"]), rtol=1e-4, atol=1e-3)


def test_dropout() -> None:
    x = np.ones((5, 6), np.float32)
    dropped = value("nn.dropout[B T](x, .25)", x=(x, "B T"))
    assert set(dropped.unique().tolist()) == {0.0, float(np.float32(1) / np.float32(0.75))}
    assert 10 <= int((dropped > 0).sum()) <= 29


def test_schedules() -> None:
    def rate(text: str, step: int) -> float:
        return float(Bench(text, DIMS, {"at": (np.array(step, np.int32), "")}, STD).array()[0])

    assert rate("schedule.constant(.5) + 0*at", 5) == 0.5
    assert rate("schedule.linear(at, 10, .5)", 5) == 0.25
    assert rate("schedule.cosine(at, 10, .5, .1)", 0) == 0.5
    assert abs(rate("schedule.cosine(at, 10, .5, .1)", 10) - 0.1) < 1e-7
    assert rate("schedule.warmup_cosine(at, 4, 10, 1)", 1) == 0.5
    assert abs(rate("schedule.warmup_cosine(at, 4, 10, 1)", 7) - 0.5) < 1e-6
    assert rate("schedule.warmup(at, 4, 1)", 9) == 1
    assert abs(rate("schedule.step_decay(at, 3, 1)", 7) - 0.01) < 1e-8
    assert rate("schedule.warmup_linear(at, 2, 10, 1)", 6) == 0.5


OPTIMIZERS = {
    "optim.sgd(.1, wd=.01)": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.01),
    "optim.momentum(.1, wd=.01)": lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01),
    "optim.nesterov(.1, wd=.01)": lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01, nesterov=True),
    "optim.adam(.1)": lambda p: torch.optim.Adam(p, 0.1),
    "optim.adamw(.1, wd=.2)": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.2),
}
JOB = """job j
import std.optim
dim B=5, C=4
data d = table(b3:00000000, x=f32[C])
layer net(x) {{ param w: C -> B' ~ normal(1)
  x @ w }}
train {{ seed = 1; steps = 6; batch = shuffle(d)
  loss = mean[B B'](net(batch.x)^2)
  update all by {update} }}
"""


@pytest.mark.parametrize("update", OPTIMIZERS)
def test_optimizers(update: str) -> None:
    """Six steps on the same batch from the same weights."""

    job = load(Source("j.job", JOB.format(update=update)))
    step, state, x = differentiate(job.phases[0].step), evaluate(job.init, {}), arrays(5, 4)
    w = torch.nn.Parameter(torch.from_numpy(state["w"].copy()))
    theirs = OPTIMIZERS[update]([w])
    for number in range(6):
        theirs.zero_grad()
        loss = (t(x) @ w).square().mean()
        loss.backward()
        theirs.step()
        found = evaluate(step, {**state, "batch.x": x, "step": np.array(number, np.int32)})
        state = {name: found[name] for name in state}
        assert abs(float(found["report.loss"]) - loss.item()) <= 1e-5 * max(1.0, loss.item())
    torch.testing.assert_close(torch.from_numpy(state["w"]), w.data, rtol=1e-5, atol=1e-6)
