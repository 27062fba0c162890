"""DeepSeek-V3: latent attention, routed experts chosen by groups and a bias that no gradient moves, one for all."""

from __future__ import annotations

import math

import torch

from tests.oracle.experts import among_experts, used
from tests.oracle.grouped import rope, swiglu
from tests.oracle.parts import causal, cross_entropy, linear, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine

EACH, GROUPS, OPEN, BEST = 2, 4, 2, 2


def attention(w: Weights, x: Tensor) -> Tensor:
    places = torch.arange(x.shape[1])[None]
    q, c = rms_norm(x @ w["dq"], w["nq.g"], 1e-6), rms_norm(x @ w["dk"], w["nk.g"], 1e-6)
    turned, key = rope(linear(q, w["ur"]), places, 1e4), rope(x @ w["dr"], places, 1e4)
    own = torch.einsum("bthn,bshn->bhts", linear(q, w["uq"]), linear(c, w["uk"]))
    scores = (own + torch.einsum("bthk,bsk->bhts", turned, key)) / math.sqrt(w["uq"].shape[-1] + w["ur"].shape[-1])
    scores = scores.masked_fill(~causal(x.shape[1]), -math.inf)
    return linear(torch.einsum("bhts,bsho->btho", scores.softmax(-1), linear(c, w["uv"])), w["wo"], 2)


def chosen(fit: Tensor) -> Tensor:
    """The numbers of a token's experts: the best of the groups whose two best add up to most."""
    g = fit.unflatten(-1, (GROUPS, -1))  # type: ignore[no-untyped-call]
    strength = g.topk(BEST, -1).values.sum(-1)
    open = strength >= strength.topk(OPEN, -1).values[..., -1:]
    return torch.where(open[..., None], g, 0).flatten(-2).topk(EACH, -1).indices


def moe(w: Weights, bias: Tensor, x: Tensor) -> Tensor:
    """`bias` becomes what the next step chooses by."""
    s = (x @ w["router"]).sigmoid()
    e = chosen(s.detach() + bias)
    load = used(e, s)
    bias += 0.001 * torch.sign(load.mean() - load)
    share = s.gather(-1, e)
    share = 2.5 * share / share.sum(-1, keepdim=True)
    return (share[..., None] * among_experts(w, x, e)).sum(-2) + swiglu(layer(w, "shared"), x)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = w["emb"][batch["tok"]]
    for i in range(len(w["m1.g"])):
        x = x + attention(layer(w, "first", i), rms_norm(x, w["m1.g"][i], 1e-6))
        x = x + swiglu(layer(w, "dense", i), rms_norm(x, w["m2.g"][i], 1e-6))
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), rms_norm(x, w["n1.g"][i], 1e-6))
        x = x + moe(layer(w, "moe", i), kept["moe.bias"][i], rms_norm(x, w["n2.g"][i], 1e-6))
    return cross_entropy(rms_norm(x, w["nf.g"], 1e-6) @ w["head"], batch["next"])


MODEL = Model(
    loss,
    warmup_cosine(20, 8e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("emb", "head", "first.[duw]*", "attention.[duw]*", "dense.*", "moe.*"),
    clip=1.0,
    values={"train.compute": "f32"},  # test_profiles.py has bf16
)
