"""The benched jobs in PyTorch, each as plain functions of the weights that our job starts from.

Takes: our tensors by label path, axes as the job declares them, and batches by field name. Promises: the same loss,
batch norm, schedule, clipping and optimizer as the job text says, in the layouts and with the fused operations that
PyTorch is fastest with; `weights` turns our tensors into those layouts by permuting, slicing and joining alone, so that
gradients flow back to ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = Mapping[str, Tensor]
#: weights, statistics (changed in place), a batch → the loss
Loss = Callable[[Tensors, Tensors, Tensors], Tensor]


@dataclass(frozen=True)
class Model:
    """One spec. `rate`: step, steps of the job → learning rate. `optimizer`: `Adam` or `AdamW` with its betas, `SGD`
    with its momentum; `decay`: of tensors with at least two axes, or of all where `decay_all`. `clip`: most of the
    global norm. `channels_last`: the layout of kernels, where PyTorch is faster with it."""

    weights: Callable[[Tensors], dict[str, Tensor]]
    loss: Loss
    rate: Callable[[int, int], float]
    optimizer: str = "Adam"
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
    decay_all: bool = False
    clip: float | None = None
    channels_last: bool = False


# ---- digits ----


def digits_weights(ours: Tensors) -> dict[str, Tensor]:
    return {name: t.t() if t.dim() == 2 else t for name, t in ours.items()}


def digits_loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
    x = batch["x"].to(w["w1"].dtype) / 16 - 0.5
    x = F.relu(F.linear(x, w["w1"], w["b1"]))
    x = F.relu(F.linear(x, w["w2"], w["b2"]))
    return F.cross_entropy(F.linear(x, w["w3"], w["b3"]), batch["y"])


# ---- mnist_cnn ----


def cnn_weights(ours: Tensors) -> dict[str, Tensor]:
    """Kernels as output, input, y, x; the head reads channels first."""
    w = dict(ours)
    w["k1"] = ours["k1"].permute(2, 0, 1).unsqueeze(1)
    w["k2"] = ours["k2"].permute(3, 2, 0, 1)
    w["w"] = ours["w"].permute(3, 2, 0, 1).flatten(1)
    return w


def cnn_loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
    x = (batch["x"].to(w["k1"].dtype) / 255).unsqueeze(1)
    x = F.max_pool2d(F.relu(normed(F.conv2d(x, w["k1"]), w, statistics, "n1")), 2)
    x = F.max_pool2d(F.relu(normed(F.conv2d(x, w["k2"]), w, statistics, "n2")), 2)
    return F.cross_entropy(F.linear(x.flatten(1), w["w"], w["b"]), batch["y"])


def normed(x: Tensor, w: Tensors, statistics: Tensors, name: str) -> Tensor:
    """Batch norm in training; the running statistics move by a tenth."""
    kept = statistics[f"{name}.mu"], statistics[f"{name}.var"]
    return F.batch_norm(x, *kept, w[f"{name}.g"], w[f"{name}.b"], training=True, momentum=0.1, eps=1e-5)


# ---- char_gpt ----


def gpt_weights(ours: Tensors) -> dict[str, Tensor]:
    """One set per layer; query, key and value are one matrix, heads along its rows."""
    w = {name: ours[name] for name in ("wte", "wpe", "nf.g")}
    for i in range(len(ours["n1.g"])):
        joined = [ours[f"attention.{name}"][i].flatten(1).t() for name in ("wq", "wk", "wv")]
        w[f"{i}.qkv"] = torch.cat(joined)
        w[f"{i}.out"] = ours["attention.wo"][i].flatten(0, 1).t()
        w[f"{i}.up"], w[f"{i}.down"] = ours["mlp.w1"][i].t(), ours["mlp.w2"][i].t()
        w[f"{i}.n1"], w[f"{i}.n2"] = ours["n1.g"][i], ours["n2.g"][i]
    return w


def gpt_loss(heads: int) -> Loss:
    def loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
        x = F.embedding(batch["tok"], w["wte"]) + w["wpe"]
        for i in range(sum(name.endswith(".qkv") for name in w)):
            x = x + attention(layer_norm(x, w[f"{i}.n1"]), w[f"{i}.qkv"], w[f"{i}.out"], heads)
            x = x + F.linear(F.gelu(F.linear(layer_norm(x, w[f"{i}.n2"]), w[f"{i}.up"])), w[f"{i}.down"])
        scores = F.linear(layer_norm(x, w["nf.g"]), w["wte"])
        return F.cross_entropy(scores.flatten(0, 1), batch["next"].flatten())

    return loss


def layer_norm(x: Tensor, gain: Tensor) -> Tensor:
    return F.layer_norm(x, gain.shape, gain, None, 1e-5)


def attention(
    x: Tensor, qkv: Tensor, out: Tensor, heads: int, bias: Tensor | None = None, out_bias: Tensor | None = None
) -> Tensor:
    """Causal, by PyTorch's own fused kernel."""
    batch, time, width = x.shape
    parts = F.linear(x, qkv, bias).view(batch, time, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
    return F.linear(seen.transpose(1, 2).reshape(batch, time, width), out, out_bias)


# ---- gpt2: biases, the tanh of gelu ----


def gpt2_weights(ours: Tensors) -> dict[str, Tensor]:
    w = {name: ours[name] for name in ("wte", "wpe", "nf.g", "nf.b")}
    for i in range(len(ours["n1.g"])):
        w[f"{i}.qkv"] = torch.cat([ours[f"attention.{name}"][i].flatten(1).t() for name in ("wq", "wk", "wv")])
        w[f"{i}.qkv.b"] = torch.cat([ours[f"attention.{name}"][i].flatten() for name in ("bq", "bk", "bv")])
        w[f"{i}.out"], w[f"{i}.out.b"] = ours["attention.wo"][i].flatten(0, 1).t(), ours["attention.bo"][i]
        w[f"{i}.up"], w[f"{i}.up.b"] = ours["mlp.w1"][i].t(), ours["mlp.b1"][i]
        w[f"{i}.down"], w[f"{i}.down.b"] = ours["mlp.w2"][i].t(), ours["mlp.b2"][i]
        for name in ("n1", "n2"):
            w[f"{i}.{name}"], w[f"{i}.{name}.b"] = ours[f"{name}.g"][i], ours[f"{name}.b"][i]
    return w


def gpt2_loss(heads: int) -> Loss:
    def norm(x: Tensor, w: Tensors, name: str, bias: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], w[name], w[bias], 1e-5)

    def loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
        x = F.embedding(batch["tok"], w["wte"]) + w["wpe"]
        for i in range(sum(name.endswith(".qkv") for name in w)):
            inner = norm(x, w, f"{i}.n1", f"{i}.n1.b")
            x = x + attention(inner, w[f"{i}.qkv"], w[f"{i}.out"], heads, w[f"{i}.qkv.b"], w[f"{i}.out.b"])
            hidden = F.linear(norm(x, w, f"{i}.n2", f"{i}.n2.b"), w[f"{i}.up"], w[f"{i}.up.b"])
            x = x + F.linear(F.gelu(hidden, approximate="tanh"), w[f"{i}.down"], w[f"{i}.down.b"])
        scores = F.linear(norm(x, w, "nf.g", "nf.b"), w["wte"])
        return F.cross_entropy(scores.flatten(0, 1), batch["next"].flatten())

    return loss


# ---- resnet18 ----

#: name, stride
BLOCKS = (("s1a", 1), ("s1b", 1), ("s2a", 2), ("s2b", 1), ("s3a", 2), ("s3b", 1), ("s4a", 2), ("s4b", 1))
MEANS, DEVIATIONS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def resnet_weights(ours: Tensors) -> dict[str, Tensor]:
    """Kernels as output, input, y, x."""
    w = {name: t.permute(3, 2, 0, 1) if t.dim() == 4 else t for name, t in ours.items()}
    w |= {name: t.t()[:, :, None, None] for name, t in ours.items() if name.endswith("shortcut.w")}
    return w | {"head.w": ours["head.w"].t()}


def resnet_loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
    x = batch["img"].to(w["c0.w"].dtype).permute(0, 3, 1, 2) / 255
    x = (x - x.new_tensor(MEANS)[:, None, None]) / x.new_tensor(DEVIATIONS)[:, None, None]
    x = F.relu(normed(F.conv2d(x, w["c0.w"], padding=1), w, statistics, "n0"))
    for name, stride in BLOCKS:
        h = F.conv2d(x, w[f"{name}.c1.w"], stride=stride, padding=1)
        h = F.relu(normed(h, w, statistics, f"{name}.n1"))
        h = normed(F.conv2d(h, w[f"{name}.c2.w"], padding=1), w, statistics, f"{name}.n2")
        if stride > 1:
            x = F.conv2d(x, w[f"{name}.shortcut.w"], stride=stride)
            x = normed(x, w, statistics, f"{name}.shortcut.norm")
        x = F.relu(h + x)
    return F.cross_entropy(F.linear(x.mean((2, 3)), w["head.w"], w["head.b"]), batch["lab"])


# ---- lstm ----

#: input, forget, candidate, output: the order of PyTorch's gates in ours
GATES = [0, 1, 3, 2]


def lstm_weights(ours: Tensors) -> dict[str, Tensor]:
    w = {name: ours[f"lstm.{name}"].permute(1, 2, 0)[GATES].flatten(0, 1) for name in ("wx", "wh")}
    bias = {"b": ours["lstm.b"][GATES].flatten(), "bias": ours["bias"]}
    return w | bias | {"emb": ours["emb"], "head": ours["head"].t()}


def lstm_loss(w: Tensors, statistics: Tensors, batch: Tensors) -> Tensor:
    x, hidden = F.embedding(batch["tok"], w["emb"]), w["wh"].shape[1]
    start = x.new_zeros(1, x.shape[0], hidden)
    # PyTorch's has a second bias, which stays zero
    parameters = [w["wx"], w["wh"], w["b"], torch.zeros_like(w["b"])]
    y = torch.lstm(x, (start, start), parameters, True, 1, 0.0, True, False, True)[0]
    scores = F.linear(y, w["head"], w["bias"])
    return F.cross_entropy(scores.flatten(0, 1), batch["next"].flatten())


def warmup_cosine(step: int, steps: int) -> float:
    """100 steps up to 1e-3, then half a cosine down to 1e-4."""
    if step < 100:
        return 1e-3 * (step + 1) / 100
    return 1e-4 + (1e-3 - 1e-4) * 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100)))


def falling(step: int, steps: int) -> float:
    return 0.002 * (1 - step / steps)


def warmed(warm: int, most: float) -> Callable[[int, int], float]:
    """`warm` steps up, then half a cosine down to 0."""

    def rate(step: int, steps: int) -> float:
        if step < warm:
            return most * (step + 1) / warm
        return most * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

    return rate


def cosine(most: float) -> Callable[[int, int], float]:
    return lambda step, steps: most * 0.5 * (1 + math.cos(math.pi * step / steps))


def model_of(name: str, ours: Mapping[str, Any]) -> Model:
    """The model of a workload; `ours`: its tensors, whose shapes tell the sizes."""
    if name == "digits":
        return Model(digits_weights, digits_loss, falling)
    if name == "mnist_cnn":
        return Model(cnn_weights, cnn_loss, falling, channels_last=True)
    if name == "lstm":
        return Model(lstm_weights, lstm_loss, cosine(4e-3), clip=1.0)
    if name == "resnet18":
        rate, betas = cosine(0.001), (0.9, 0.0)
        return Model(resnet_weights, resnet_loss, rate, "SGD", betas, 5e-4, decay_all=True, channels_last=True)
    heads = ours["attention.wq"].shape[2]
    if name.startswith("gpt2"):
        return Model(gpt2_weights, gpt2_loss(heads), warmed(700, 6e-4), "AdamW", (0.9, 0.95), 0.1, clip=1.0)
    return Model(gpt_weights, gpt_loss(heads), warmup_cosine, "AdamW", (0.9, 0.99), 0.1, clip=1.0)
