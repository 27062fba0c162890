"""Experts of a token. Here every expert computes every token, and what was not asked for is left out afterwards."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.recipe import Tensor, Weights


def among_experts(w: Weights, x: Tensor, e: Tensor) -> Tensor:
    """x: … D; e: … Q, numbers of experts; w1, w3: E D F, w2: E F D. Returns … Q D."""
    h = x[..., None, None, :]
    each = ((F.silu(h @ w["w1"]) * (h @ w["w3"])) @ w["w2"])[..., 0, :]
    return each.gather(-2, e[..., None].expand(*e.shape, x.shape[-1]))


def used(e: Tensor, of: Tensor) -> Tensor:
    """How many of a batch's choices fall on each expert, per token; `of`: the scores, … E."""
    return F.one_hot(e, of.shape[-1]).sum(-2).to(of.dtype).mean((0, 1))
