"""A diagonal state space in its recurrent form, between a norm and a gated linear unit."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.parts import cross_entropy, layer_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, cosine, layer


def ssm(w: Weights, u: Tensor) -> Tensor:
    a = -w["a"].exp()
    keep = (0.03 * w["step"].exp()[:, None] * a).exp()
    h = torch.zeros(u.shape[0], *a.shape, dtype=u.dtype)
    outputs = []
    for t in range(u.shape[1]):
        h = keep * h + (keep - 1) / a * u[:, t, :, None]
        outputs.append((h * w["c"]).sum(-1))
    return torch.stack(outputs, 1) + w["d"] * u


def block(w: Weights, x: Tensor) -> Tensor:
    y = F.gelu(ssm(layer(w, "ssm"), layer_norm(x, layer(w, "norm"))))
    return x + (y @ w["w"]) * (y @ w["v"]).sigmoid()


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = w["emb"][batch["tok"]]
    for i in range(len(w["block.w"])):
        x = block(layer(w, "block", i), x)
    return cross_entropy(layer_norm(x, layer(w, "norm")) @ w["emb"].T, batch["next"])


MODEL = Model(loss, cosine(6e-3), decay=0.05, decayed=("emb", "block.w", "block.v"), clip=1.0)
