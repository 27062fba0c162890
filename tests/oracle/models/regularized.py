"""A small convolution network under shifts, mixup, label smoothing and dropout."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.images import beta, conv, linear, mixed, mixed_entropy, pooled, shifted
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, real, warmup_cosine


def net(w: Weights, x: Tensor, drawn: Tensor) -> Tensor:
    h = pooled(F.silu(conv(x[..., None], w["conv.w"], 1, 1) + w["conv.b"]), 2, 2)
    h = F.relu(torch.tensordot(h, w["w"], 3) + w["b"])
    return linear(layer(w, "head"), torch.where(drawn < 0.3, 0, h / 0.7))


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = shifted(real(batch["x"]).reshape(-1, 8, 8), batch["down"], 1, 1)
    x = shifted(x, batch["across"], 1, 2) / 16
    share = beta(batch["u"], batch["v"], 0.2)
    return mixed_entropy(net(w, mixed(x, share), batch["drop"]), batch["y"], share, 0.1)


MODEL = Model(
    loss,
    warmup_cosine(10, 5e-3),
    decay=0.01,
    decayed=("*",),
    draws={"down": ("0",), "across": ("1",), "u": ("2",), "v": ("3",), "drop": ("net", "0")},
)
