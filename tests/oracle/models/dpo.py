"""Preferences: policy and reference begin as the same network."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine
from tests.oracle.small_llama import net

END, BETA = 10, 0.2


def said(w: Weights, text: Tensor) -> Tensor:
    """log p of a name and the end behind it."""
    tok, following = text[:, :-1], text[:, 1:]
    logs = net(w, tok).log_softmax(-1).gather(-1, following[..., None])[..., 0]
    counts = (tok != END) | (torch.arange(tok.shape[1]) == 0)
    return torch.where(counts, logs, 0).sum(1)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    chosen, rejected = (
        said(layer(w, "policy"), text) - said(layer(w, "reference"), text).detach()
        for text in (batch["chosen"], batch["rejected"])
    )
    return -F.logsigmoid(BETA * (chosen - rejected)).mean()


MODEL = Model(loss, warmup_cosine(20, 1e-3), clip=1.0, frozen=("reference.*",))
