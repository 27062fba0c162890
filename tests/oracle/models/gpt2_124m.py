"""GPT-2: pre-norm blocks with biases everywhere, learned positions, the embedding as head."""

from __future__ import annotations

from tests.oracle.parts import attended, causal, cross_entropy, gelu_tanh, layer_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine


def attention(w: Weights, x: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) + w[f"b{n}"] for n in "qkv")
    return linear(attended(q, k, v, causal(x.shape[1])), w["wo"], 2) + w["bo"]


def mlp(w: Weights, x: Tensor) -> Tensor:
    return linear(gelu_tanh(linear(x, w["w1"]) + w["b1"]), w["w2"]) + w["b2"]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = w["wte"][batch["tok"]] + w["wpe"]
    for i in range(len(w["n1.g"])):
        x = x + attention(layer(w, "attention", i), layer_norm(x, layer(w, "n1", i)))
        x = x + mlp(layer(w, "mlp", i), layer_norm(x, layer(w, "n2", i)))
    return cross_entropy(layer_norm(x, layer(w, "nf")) @ w["wte"].T, batch["next"])


MODEL = Model(
    loss,
    warmup_cosine(20, 2e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("wte", "wpe", "*.w?"),
    clip=1.0,
    values={"train.shards": "1"},  # test_profiles.py has them as the text says
)
