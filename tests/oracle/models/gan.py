"""A GAN in one loss: its value is the generator's; what the critic learns from adds its gradient and nothing else."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.images import batch_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, constant, layer, real


def generator(w: Weights, kept: Kept, z: Tensor) -> Tensor:
    h = F.relu(batch_norm(linear(layer(w, "g.a"), z), w, kept, "g.n"))
    return linear(layer(w, "g.c"), h).sigmoid()


def critic(w: Weights, x: Tensor, noise: Tensor) -> Tensor:
    h = F.leaky_relu(linear(layer(w, "d.a"), x + 0.3 * noise), 0.2)
    h = F.leaky_relu(linear(layer(w, "d.b"), h), 0.2)
    return linear(layer(w, "d.c"), h)[:, 0]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    made, still = generator(w, kept, batch["z"]), {name: t.detach() for name, t in w.items()}
    fools = F.softplus(-critic(still, made, batch["first"])).mean()
    true = F.softplus(-critic(w, real(batch["x"]) / 16, batch["second"]))
    tells = (true + F.softplus(critic(w, made.detach(), batch["third"]))).mean()
    return fools + tells - tells.detach()


MODEL = Model(
    loss,
    constant(1e-3),
    betas=(0.5, 0.999),
    draws={"z": ("0",), "first": ("d", "0"), "second": ("d", "2", "0"), "third": ("d", "3", "0")},
)
