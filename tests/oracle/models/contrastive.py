"""SimCLR's loss on two shifted, noisy views of each digit."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.images import linear, shifted
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, cosine, layer, real


def view(batch: Batch, name: str) -> Tensor:
    x = shifted(real(batch["x"]).reshape(-1, 8, 8), batch[f"{name}.down"], 1, 1)
    x = shifted(x, batch[f"{name}.across"], 1, 2).flatten(1) / 16
    return torch.where(batch[f"{name}.dark"] < 0.05, 0, x) + 0.05 * batch[f"{name}.noise"]


def encoder(w: Weights, x: Tensor) -> Tensor:
    z = linear(layer(w, "e.b"), F.relu(linear(layer(w, "e.a"), x)))
    return z / (z.square().sum(1, keepdim=True) + 1e-6).sqrt()


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    z = encoder(w, view(batch, "one")) @ encoder(w, view(batch, "two")).T / 0.1
    own = torch.arange(len(z))
    return (F.cross_entropy(z, own) + F.cross_entropy(z.T, own)) / 2


DRAWS = ("down", "across", "dark", "noise")
MODEL = Model(
    loss,
    cosine(3e-3),
    draws={f"{name}.{d}": (str(4 * i + j),) for i, name in enumerate(("one", "two")) for j, d in enumerate(DRAWS)},
)
