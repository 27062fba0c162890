"""DiT with adaLN-zero; the noise by squared error, its width by the divergence of one step back (arXiv 2102.09672),
here from the means and variances of both Gaussians, as they are defined."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tests.oracle.images import patches, sincos, whole
from tests.oracle.parts import attended, gelu_tanh
from tests.oracle.parts import linear as folded
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, constant, layer

TIMES, CLASSES, WIDTH = 100, 10, 32


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


def attention(w: Weights, x: Tensor) -> Tensor:
    q, k, v = (folded(x, w[f"w{n}"]) + w[f"b{n}"] for n in "qkv")
    return folded(attended(q, k, v, None), w["wo"], 2) + w["bo"]


def block(w: Weights, x: Tensor, c: Tensor) -> Tensor:
    m = (folded(c, w["w"]) + w["b"]).unbind(1)
    x = x + m[2][:, None] * attention(layer(w, "attention"), modulate(x, m[0], m[1]))
    h = modulate(x, m[3], m[4])
    return x + m[5][:, None] * (gelu_tanh(h @ w["mlp.w1"] + w["mlp.b1"]) @ w["mlp.w2"] + w["mlp.b2"])


def time(w: Weights, t: Tensor) -> Tensor:
    at = t[:, None] * 10_000 ** (-torch.arange(16) / 16)
    e = torch.cat([at.cos(), at.sin()], 1)
    return F.silu(e @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]


def dit(w: Weights, x: Tensor, t: Tensor, lab: Tensor) -> Tensor:
    """Noise and width: B Y X C each."""
    c = F.silu(time(layer(w, "time"), t) + w["classes"][lab])
    x = patches(x, 1) @ w["w"].flatten(0, 2) + w["b"] + sincos(4, 4, WIDTH, WIDTH // 4)
    for i in range(len(w["block.w"])):
        x = block(layer(w, "block", i), x, c)
    m = (folded(c, w["wm"]) + w["bm"]).unbind(1)
    y = folded(modulate(x, m[0], m[1]), w["out"]) + w["bo"]
    return y[:, :, 0, 0].unflatten(1, (4, 4)).permute(3, 0, 1, 2, 4)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    beta = torch.linspace(1e-4, 0.02, TIMES)
    kept_share = (1 - beta).cumprod(0)
    before = torch.cat([torch.ones(1), kept_share[:-1]])
    posterior = beta * (1 - before) / (1 - kept_share)
    posterior[0] = posterior[1]
    t = whole(batch["t"], 0, TIMES)
    b, a, a0, low = (v[t][:, None, None, None] for v in (beta, kept_share, before, posterior.log()))
    x, noise = batch["z"] * 0.18215, batch["noise"]
    seen = a.sqrt() * x + (1 - a).sqrt() * noise
    eps, v = dit(w, seen, t, torch.where(batch["drop"] < 0.1, CLASSES, batch["lab"]))
    guess = (seen - (1 - a).sqrt() * eps.detach()) / a.sqrt()
    off = b * a0.sqrt() / (1 - a) * (guess - x)
    wide = (v + 1) / 2 * b.log() + (1 - v) / 2 * low
    nats = 0.5 * (wide - low - 1 + (low - wide).exp() + off.square() * (-wide).exp())
    return F.mse_loss(eps, noise) + nats.mean() / math.log(2)


MODEL = Model(
    loss,
    constant(5e-3),
    draws={"t": ("0",), "noise": ("1",), "drop": ("2",)},
)
