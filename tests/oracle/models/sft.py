"""Answers only: a pre-norm network over lines, places counted from the line's beginning."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.parts import attended, causal, layer_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine

ANSWER, END = 8, 10


def attention(w: Weights, x: Tensor, see: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) for n in "qkv")
    return linear(attended(q, k, v, see), w["wo"], 2)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    tok, pos, doc = batch["tok"], batch["pos"], batch["doc"]
    see = (causal(tok.shape[1]) & (doc[:, :, None] == doc[:, None, :]))[:, None]
    x = w["emb"][tok] + w["place"][pos]
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), layer_norm(x, layer(w, "n1", i)), see)
        m = layer(w, "mlp", i)
        x = x + F.gelu(layer_norm(x, layer(w, "n2", i)) @ m["w1"]) @ m["w2"]
    counts = (pos >= ANSWER - 1) & (tok != END)
    scores = layer_norm(x, layer(w, "nf")) @ w["emb"].T
    return F.cross_entropy(scores[counts], batch["next"][counts], reduction="sum") / max(int(counts.sum()), 1)


MODEL = Model(
    loss,
    warmup_cosine(20, 3e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("emb", "place", "*.w?"),
    clip=1.0,
)
