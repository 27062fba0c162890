"""What several of the PyTorch models are made of, as plain functions of tensors in our own axis order."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, w: Tensor, folds: int = 1) -> Tensor:
    """`x @ w`: the last `folds` axes of x are the first of w."""
    y: Tensor = torch.tensordot(x, w, folds)
    return y


def causal(n: int) -> Tensor:
    """Place t (first axis) sees places up to t."""
    return torch.ones(n, n, dtype=torch.bool).tril()


def attended(q: Tensor, k: Tensor, v: Tensor, see: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """Softmax attention; q, k, v: batch, place, head, size. `see` and `bias` go with batch, head, place, seen."""
    scores = torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(q.shape[-1])
    if bias is not None:
        scores = scores + bias
    if see is not None:
        scores = scores.masked_fill(~see, -math.inf)
    return torch.einsum("bhts,bshk->bthk", scores.softmax(-1), v)


def layer_norm(x: Tensor, w: Mapping[str, Tensor], eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, w["g"].shape, w["g"], w.get("b"), eps)


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, gain.shape, gain, eps)


def gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def cross_entropy(scores: Tensor, label: Tensor) -> Tensor:
    """Mean over all places; scores along the last axis."""
    return F.cross_entropy(scores.flatten(0, -2), label.flatten())
