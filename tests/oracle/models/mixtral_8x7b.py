"""Mixtral: two of all experts for each token, and a second loss where they are unevenly used."""

from __future__ import annotations

import torch

from tests.oracle.experts import among_experts, used
from tests.oracle.grouped import grouped
from tests.oracle.parts import causal, cross_entropy, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine

EACH = 2


def moe(w: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """Their sum, and how unevenly they are used."""
    z = x @ w["router"]
    best, e = z.topk(EACH, -1)
    y = (best.softmax(-1)[..., None] * among_experts(w, x, e)).sum(-2)
    return y, (used(e, z) * z.softmax(-1).mean((0, 1))).sum()


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    tok = batch["tok"]
    places, see = torch.arange(tok.shape[1])[None], causal(tok.shape[1])[None]
    x, uneven = w["emb"][tok], 0.0
    layers, experts = w["moe.w1"].shape[:2]
    for i in range(layers):
        x = x + grouped(layer(w, "attention", i), rms_norm(x, w["n1.g"][i], 1e-5), places, see, 1e6)
        y, u = moe(layer(w, "moe", i), rms_norm(x, w["n2.g"][i], 1e-5))
        x, uneven = x + y, uneven + u * experts / (layers * EACH)
    return cross_entropy(rms_norm(x, w["nf.g"], 1e-5) @ w["head"], batch["next"]) + 0.01 * uneven


MODEL = Model(
    loss,
    warmup_cosine(20, 4e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("emb", "head", "attention.w?", "moe.router", "moe.w?"),
    clip=1.0,
    values={"train.compute": "f32"},  # test_profiles.py has it as the text says
)
