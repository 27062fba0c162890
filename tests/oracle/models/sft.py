"""Answers only: the loss counts what stands behind a line's question."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.parts import causal
from tests.oracle.recipe import Batch, Kept, Tensor, Weights
from tests.oracle.small_gpt import net, trained

ANSWER, END = 8, 10


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    tok, pos, doc = batch["tok"], batch["pos"], batch["doc"]
    see = causal(tok.shape[1]) & (doc[:, :, None] == doc[:, None, :])
    counts = (pos >= ANSWER - 1) & (tok != END)
    missed = F.cross_entropy(net(w, tok, pos, see)[counts], batch["next"][counts], reduction="sum")
    return missed / max(int(counts.sum()), 1)


MODEL = trained(loss)
