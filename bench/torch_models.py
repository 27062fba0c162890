"""The reference specs in PyTorch, each as plain functions of the weights that our job starts from.

Takes: our tensors by label path, axes as the job declares them, and batches by field name. Promises: the same loss,
batch norm, schedule, clipping and optimizer as the job text says, in the layouts and with the fused operations that
PyTorch is fastest with; `weights` turns our tensors into those layouts by permuting, slicing and joining alone, so that
gradients flow back to ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = Mapping[str, Tensor]
#: weights, statistics (changed in place), a batch → the loss
Loss = Callable[[Tensors, Tensors, Tensors], Tensor]


@dataclass(frozen=True)
class Model:
    """One spec. `rate`: step, steps of the job → learning rate. `optimizer`: `Adam` or `AdamW`, with its betas;
    `decay`: of tensors with at least two axes. `clip`: most of the global norm. `channels_last`: the layout of kernels,
    where PyTorch is faster with it."""

    weights: Callable[[Tensors], dict[str, Tensor]]
    loss: Loss
    rate: Callable[[int, int], float]
    optimizer: str = "Adam"
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.0
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


def attention(x: Tensor, qkv: Tensor, out: Tensor, heads: int) -> Tensor:
    """Causal, by PyTorch's own fused kernel."""
    batch, time, width = x.shape
    parts = F.linear(x, qkv).view(batch, time, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
    return F.linear(seen.transpose(1, 2).reshape(batch, time, width), out)


def warmup_cosine(step: int, steps: int) -> float:
    """100 steps up to 1e-3, then half a cosine down to 1e-4."""
    if step < 100:
        return 1e-3 * (step + 1) / 100
    return 1e-4 + (1e-3 - 1e-4) * 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100)))


def falling(step: int, steps: int) -> float:
    return 0.002 * (1 - step / steps)


def model_of(spec: str, ours: Mapping[str, object]) -> Model:
    """The model of a spec; `ours`: its tensors, whose shapes tell the sizes."""
    if spec == "digits":
        return Model(digits_weights, digits_loss, falling)
    if spec == "mnist_cnn":
        return Model(cnn_weights, cnn_loss, falling, channels_last=True)
    heads = ours["attention.wq"].shape[2]  # type: ignore[attr-defined]
    return Model(
        gpt_weights,
        gpt_loss(heads),
        warmup_cosine,
        optimizer="AdamW",
        betas=(0.9, 0.99),
        decay=0.1,
        clip=1.0,
    )
