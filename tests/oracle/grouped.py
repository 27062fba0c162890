"""What the PyTorch models of the Llama family are made of: rotary positions, grouped queries, gated units.

Takes: tensors in our own axis order. Promises: pairs of a head turn as our text says it, (2i, 2i+1) by theta^(-2i/K).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tests.oracle.parts import linear
from tests.oracle.recipe import Tensor, Weights, real


def rope(x: Tensor, pos: Tensor, theta: float) -> Tensor:
    """x: batch, place, heads…, K; pos: batch or 1, place."""
    turn = real(pos)[..., None] * theta ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    turn = turn.reshape(*turn.shape[:2], *[1] * (x.ndim - 3), -1)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)  # type: ignore[no-untyped-call]
    return torch.stack([a * turn.cos() - b * turn.sin(), a * turn.sin() + b * turn.cos()], -1).flatten(-2)


def grouped(w: Weights, x: Tensor, pos: Tensor, see: Tensor, theta: float) -> Tensor:
    """Each head for keys and values serves several for queries. `see`: batch or 1, place, seen."""
    q, k, v = rope(linear(x, w["wq"]), pos, theta), rope(linear(x, w["wk"]), pos, theta), linear(x, w["wv"])
    scores = torch.einsum("btgrk,bsgk->bgrts", q, k) / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~see[:, None, None], -math.inf)
    return linear(torch.einsum("bgrts,bsgk->btgrk", scores.softmax(-1), v), w["wo"], 3)


def swiglu(w: Weights, x: Tensor) -> Tensor:
    return (F.silu(x @ w["w1"]) * (x @ w["w3"])) @ w["w2"]
