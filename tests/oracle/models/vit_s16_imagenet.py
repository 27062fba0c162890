"""ViT with fixed positions and the mean of its tokens, on cropped, mirrored and mixed images."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.images import beta, mirrored, mixed, mixed_entropy, patches, resized_crop, sincos
from tests.oracle.parts import attended, layer_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, real, warmup_cosine


def attention(w: Weights, x: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) + w[f"b{n}"] for n in "qkv")
    return linear(attended(q, k, v, None), w["wo"], 2) + w["bo"]


def mlp(w: Weights, x: Tensor) -> Tensor:
    return F.gelu(x @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]


def vit(w: Weights, img: Tensor) -> Tensor:
    x = patches(img, 2) @ w["w"].flatten(0, 2) + w["b"] + sincos(4, 4, 32, 7)
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), layer_norm(x, layer(w, "n1", i), 1e-6))
        x = x + mlp(layer(w, "mlp", i), layer_norm(x, layer(w, "n2", i), 1e-6))
    return layer_norm(x, layer(w, "n0"), 1e-6).mean(1) @ w["head"] + w["bias"]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    img = resized_crop(real(batch["img"]), 8, 0.05, [batch[n] for n in ("area", "ratio", "top", "left")])
    img = mirrored(img, batch["turn"]) / 127.5 - 1
    share = beta(batch["u"], batch["v"], 0.2)
    return mixed_entropy(vit(w, mixed(img, share)), batch["lab"], share, 0.1)


NAMES = ("u", "v", "area", "ratio", "top", "left", "turn")
MODEL = Model(
    loss,
    warmup_cosine(40, 4e-3),
    decay=0.1,
    decayed=("w", "head", "attention.w?", "mlp.w?"),
    clip=1.0,
    draws={name: (str(i),) for i, name in enumerate(NAMES)},
)
