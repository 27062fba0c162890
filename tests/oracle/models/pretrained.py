"""A small Llama over single characters."""

from __future__ import annotations

from tests.oracle.parts import cross_entropy
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, warmup_cosine
from tests.oracle.small_llama import net


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    return cross_entropy(net(w, batch["tok"]), batch["next"])


MODEL = Model(loss, warmup_cosine(20, 6e-3), betas=(0.9, 0.95), decay=0.1, decayed=("emb", "*.w?"), clip=1.0)
