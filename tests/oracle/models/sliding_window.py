"""Attention to the last places of one document; places count from the document's first."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.parts import attended, cross_entropy, layer_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine

WINDOW = 8


def seen(doc: Tensor) -> Tensor:
    back = torch.arange(doc.shape[1])[:, None] - torch.arange(doc.shape[1])
    near = (back >= 0) & (back < WINDOW)
    return (near & (doc[:, :, None] == doc[:, None, :]))[:, None]


def attention(w: Weights, x: Tensor, see: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) for n in "qkv")
    return linear(attended(q, k, v, see), w["wo"], 2)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x, see = w["emb"][batch["tok"]] + w["place"][batch["pos"]], seen(batch["doc"])
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), layer_norm(x, layer(w, "n1", i)), see)
        m = layer(w, "mlp", i)
        x = x + F.gelu(layer_norm(x, layer(w, "n2", i)) @ m["w1"]) @ m["w2"]
    return cross_entropy(layer_norm(x, layer(w, "nf")) @ w["emb"].T, batch["next"])


MODEL = Model(
    loss,
    warmup_cosine(20, 3e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("emb", "place", "*.w?"),
    clip=1.0,
)
