"""Llama 3 of any size, and its training: documents in one window do not see each other."""

from __future__ import annotations

from tests.oracle.grouped import grouped, swiglu
from tests.oracle.parts import causal, cross_entropy, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    doc = batch["doc"]
    see = causal(doc.shape[1]) & (doc[:, :, None] == doc[:, None, :])
    x = w["emb"][batch["tok"]]
    for i in range(len(w["n1.g"])):
        x = x + grouped(layer(w, "attention", i), rms_norm(x, w["n1.g"][i], 1e-5), batch["pos"], see, 500e3)
        x = x + swiglu(layer(w, "mlp", i), rms_norm(x, w["n2.g"][i], 1e-5))
    return cross_entropy(rms_norm(x, w["nf.g"], 1e-5) @ w["head"], batch["next"])


def model(steps: int | None = None) -> Model:
    """`steps`: what the learning rate falls along, where it is not the whole job."""
    rate = warmup_cosine(20, 4e-3)
    return Model(
        loss,
        lambda t, n: rate(t, steps or n),
        betas=(0.9, 0.95),
        eps=1e-5,
        decay=0.1,
        decayed=("emb", "head", "*.w?"),
        clip=1.0,
        values={"train.compute": "f32", "train.shards": "1"},  # test_profiles.py has them as the text says
    )
