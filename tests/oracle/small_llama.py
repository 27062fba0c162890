"""The network of pretrained.job, which dpo.job and lora.job begin with; adapters where there are any."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tests.oracle.grouped import rope
from tests.oracle.parts import causal, linear, rms_norm
from tests.oracle.recipe import Tensor, Weights, layer


def adapted(w: Weights, name: str, x: Tensor, folds: int = 1) -> Tensor:
    """x @ w, and beside it a map of low rank."""
    y, low = linear(x, w[f"w{name}"], folds), layer(w, f"lora_{name}")
    return y + 2 * linear(x.flatten(-folds) @ low["a"], low["b"]) if low else y


def attention(w: Weights, x: Tensor) -> Tensor:
    places = torch.arange(x.shape[1])[None]
    q, k = (rope(adapted(w, n, x), places, 1e4) for n in "qk")
    scores = torch.einsum("btgrk,bsgk->bgrts", q, k) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~causal(x.shape[1]), -math.inf)
    y = torch.einsum("bgrts,bsgk->btgrk", scores.softmax(-1), adapted(w, "v", x))
    return adapted(w, "o", y, 3)


def mlp(w: Weights, x: Tensor) -> Tensor:
    return adapted(w, "2", F.silu(adapted(w, "1", x)) * adapted(w, "3", x))


def net(w: Weights, tok: Tensor) -> Tensor:
    """Scores of the next character."""
    x = w["emb"][tok]
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), rms_norm(x, w["n1.g"][i], 1e-6))
        x = x + mlp(layer(w, "mlp", i), rms_norm(x, w["n2.g"][i], 1e-6))
    return rms_norm(x, w["nf.g"], 1e-6) @ w["emb"].T
