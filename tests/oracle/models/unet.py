"""A U-Net of two steps down, its ups by copying each place, skips joined along the channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.images import conv, group_norm, linear, pooled
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, cosine, layer, real


def down(w: Weights, name: str, x: Tensor) -> Tensor:
    return F.silu(group_norm(conv(x, w[f"{name}.w"], 1, 1), layer(w, f"{name}.norm"), 4))


def up(w: Weights, name: str, x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).repeat_interleave(2, 2) @ w[f"{name}.w"]


def unet(w: Weights, x: Tensor) -> Tensor:
    full = down(w, "d1", x)
    half = down(w, "d2", pooled(full, 2, 2))
    low = down(w, "d4", pooled(half, 2, 2))
    h = down(w, "u2", torch.cat([up(w, "s2", low), half], -1))
    h = down(w, "u1", torch.cat([up(w, "s1", h), full], -1))
    return linear(layer(w, "head"), h)[..., 0]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = real(batch["x"]).reshape(-1, 8, 8, 1)
    scores = unet(w, x / 16 + 0.5 * batch["noise"])
    return F.binary_cross_entropy_with_logits(scores, real(x[..., 0] >= 8))


MODEL = Model(loss, cosine(5e-3), draws={"noise": ("0",)})
