"""Noise prediction by a residual MLP that is told the time and the digit."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tests.oracle.images import linear
from tests.oracle.parts import layer_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, real, warmup_cosine


def time(w: Weights, t: Tensor) -> Tensor:
    at = t[:, None] * 1000 * 10_000 ** (-torch.arange(16) / 16)
    return F.silu(linear(w, torch.cat([at.cos(), at.sin()], 1)))


def denoiser(w: Weights, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    c = time(layer(w, "time"), t) + w["digits"][y]
    h = linear(layer(w, "a"), x)
    for i in range(len(w["n.g"])):
        b = layer(w, "block", i)
        h = h + F.silu((layer_norm(h, layer(w, "n", i)) + c) @ b["w1"] + b["b1"]) @ b["w2"] + b["b2"]
    return linear(layer(w, "z"), F.silu(h))


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    t, noise = batch["t"], batch["noise"]
    angle = math.pi / 2 * t[:, None]
    seen = angle.cos() * (real(batch["x"]) / 8 - 1) + angle.sin() * noise
    return F.mse_loss(denoiser(w, seen, t, batch["y"]), noise)


MODEL = Model(loss, warmup_cosine(20, 3e-3), draws={"t": ("0",), "noise": ("1",)})
