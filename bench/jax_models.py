"""The benched jobs in JAX: the losses of torch_models.py, as functions of the same weights.

Takes: weights by name in PyTorch's layouts (kernels of images as y, x, input, output), what layers keep, a batch.
Promises: the loss and what layers keep afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

BLOCKS = (("s1a", 1), ("s1b", 1), ("s2a", 2), ("s2b", 1), ("s3a", 2), ("s3b", 1), ("s4a", 2), ("s4b", 1))
MEANS, DEVIATIONS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
Tree = Mapping[str, Any]
Loss = Callable[[Tree, Tree, Tree], tuple[Any, Tree]]


def loss_of(name: str, ours: Mapping[str, Any]) -> Loss:
    """The loss of a workload; `ours`: its tensors, whose shapes tell the sizes."""
    if name in ("digits", "mnist_cnn", "resnet18", "lstm"):
        return {"digits": digits, "mnist_cnn": cnn, "resnet18": resnet, "lstm": lstm}[name]
    heads = ours["attention.wq"].shape[2]
    return partial(gpt, heads, name.startswith("gpt2"))


def cross_entropy(z: Any, label: Any) -> Any:
    picked = jnp.take_along_axis(z, label[..., None], -1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(z, -1) - picked)


def digits(w: Tree, s: Tree, batch: Tree) -> tuple[Any, Tree]:
    x = batch["x"].astype(jnp.float32) / 16 - 0.5
    x = jax.nn.relu(x @ w["w1"].T + w["b1"])
    x = jax.nn.relu(x @ w["w2"].T + w["b2"])
    return cross_entropy(x @ w["w3"].T + w["b3"], batch["y"]), s


def conv(x: Any, kernel: Any, stride: int = 1, pad: int = 0) -> Any:
    """x: batch, y, x, channels."""
    padding = [(pad, pad)] * 2
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def normed(x: Any, w: Tree, s: dict[str, Any], name: str) -> Any:
    """Batch norm in training; `s` changes."""
    mean, count = x.mean((0, 1, 2)), x.size // x.shape[-1]
    variance = ((x - mean) ** 2).mean((0, 1, 2))
    for part, value in (("mu", mean), ("var", variance * count / (count - 1))):
        s[f"{name}.{part}"] = 0.9 * s[f"{name}.{part}"] + 0.1 * value
    return (x - mean) * (lax.rsqrt(variance + 1e-5) * w[f"{name}.g"]) + w[f"{name}.b"]


def pooled(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn(w: Tree, s: Tree, batch: Tree) -> tuple[Any, Tree]:
    s, x = dict(s), (batch["x"].astype(jnp.float32) / 255)[..., None]
    x = pooled(jax.nn.relu(normed(conv(x, w["k1"]), w, s, "n1")))
    x = pooled(jax.nn.relu(normed(conv(x, w["k2"]), w, s, "n2")))
    # the head reads channels first
    x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
    return cross_entropy(x @ w["w"].T + w["b"], batch["y"]), s


def resnet(w: Tree, s: Tree, batch: Tree) -> tuple[Any, Tree]:
    s, x = dict(s), batch["img"].astype(jnp.float32) / 255
    x = (x - jnp.array(MEANS)) / jnp.array(DEVIATIONS)
    x = jax.nn.relu(normed(conv(x, w["c0.w"], 1, 1), w, s, "n0"))
    for name, stride in BLOCKS:
        h = jax.nn.relu(normed(conv(x, w[f"{name}.c1.w"], stride, 1), w, s, f"{name}.n1"))
        h = normed(conv(h, w[f"{name}.c2.w"], 1, 1), w, s, f"{name}.n2")
        if stride > 1:
            x = normed(conv(x, w[f"{name}.shortcut.w"], stride), w, s, f"{name}.shortcut.norm")
        x = jax.nn.relu(h + x)
    return cross_entropy(x.mean((1, 2)) @ w["head.w"].T + w["head.b"], batch["lab"]), s


def lstm(w: Tree, s: Tree, batch: Tree) -> tuple[Any, Tree]:
    x = w["emb"][batch["tok"]] @ w["wx"].T + w["b"]
    start = jnp.zeros((x.shape[0], w["wh"].shape[1]), x.dtype)

    def step(state: Any, given: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(given + h @ w["wh"].T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    _, y = lax.scan(step, (start, start), x.swapaxes(0, 1))
    return cross_entropy(y.swapaxes(0, 1) @ w["head"].T + w["bias"], batch["next"]), s


def gpt(heads: int, biased: bool, w: Tree, s: Tree, batch: Tree) -> tuple[Any, Tree]:
    def linear(x: Any, name: str) -> Any:
        y = x @ w[name].T
        return y + w[f"{name}.b"] if biased else y

    def norm(x: Any, gain: str, bias: str) -> Any:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        y = (x - mean) * lax.rsqrt(variance + 1e-5) * w[gain]
        return y + w[bias] if biased else y

    x = w["wte"][batch["tok"]] + w["wpe"]
    for i in range(sum(name.endswith(".qkv") for name in w)):
        q, k, v = jnp.split(linear(norm(x, f"{i}.n1", f"{i}.n1.b"), f"{i}.qkv"), 3, -1)
        x = x + linear(attention(q, k, v, heads), f"{i}.out")
        hidden = linear(norm(x, f"{i}.n2", f"{i}.n2.b"), f"{i}.up")
        x = x + linear(jax.nn.gelu(hidden, approximate=biased), f"{i}.down")
    return cross_entropy(norm(x, "nf.g", "nf.b") @ w["wte"].T, batch["next"]), s


def attention(q: Any, k: Any, v: Any, heads: int) -> Any:
    """Causal."""
    batch, time, width = q.shape
    q, k, v = (y.reshape(batch, time, heads, width // heads) for y in (q, k, v))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (width // heads) ** -0.5
    scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1), v).reshape(batch, time, width)
