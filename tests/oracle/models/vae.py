"""Kingma and Welling's autoencoder: Gaussian code, Bernoulli pixels."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.images import linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, constant, layer, real


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = real(batch["x"]) / 16
    h = F.relu(linear(layer(w, "enc.a"), x))
    m, s = linear(layer(w, "enc.mean"), h), linear(layer(w, "enc.log_var"), h)
    z = m + (s / 2).exp() * batch["noise"]
    y = linear(layer(w, "dec.b"), F.relu(linear(layer(w, "dec.a"), z)))
    pixels = F.binary_cross_entropy_with_logits(y, x, reduction="sum")
    return (pixels + 0.5 * (m.square() + s.exp() - s - 1).sum()) / len(x)


MODEL = Model(loss, constant(2e-3), draws={"noise": ("0",)})
