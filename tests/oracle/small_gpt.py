"""The network of sft.job and sliding_window.job: pre-norm, learned places, the embedding as head; and its optimizer."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.parts import attended, layer_norm, linear
from tests.oracle.recipe import Loss, Model, Tensor, Weights, layer, warmup_cosine


def attention(w: Weights, x: Tensor, see: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) for n in "qkv")
    return linear(attended(q, k, v, see), w["wo"], 2)


def net(w: Weights, tok: Tensor, pos: Tensor, see: Tensor) -> Tensor:
    """Scores of the next token; `see` goes with batch, place, place seen."""
    x = w["emb"][tok] + w["place"][pos]
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), layer_norm(x, layer(w, "n1", i)), see[:, None])
        m = layer(w, "mlp", i)
        x = x + F.gelu(layer_norm(x, layer(w, "n2", i)) @ m["w1"]) @ m["w2"]
    return layer_norm(x, layer(w, "nf")) @ w["emb"].T


def trained(loss: Loss) -> Model:
    decayed = ("emb", "place", "*.w?")
    return Model(loss, warmup_cosine(20, 3e-3), betas=(0.9, 0.95), decay=0.1, decayed=decayed, clip=1.0)
