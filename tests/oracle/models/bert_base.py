"""BERT: post-norm blocks, word, place and segment embeddings, masked words and next sentence. Dropout is off."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.parts import attended, cross_entropy, layer_norm, linear
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_linear

MASK, VOCABULARY = 103, 256


def attention(w: Weights, x: Tensor, see: Tensor) -> Tensor:
    q, k, v = (linear(x, w[f"w{n}"]) + w[f"b{n}"] for n in "qkv")
    return linear(attended(q, k, v, see), w["wo"], 2) + w["bo"]


def norm(w: Weights, name: str, x: Tensor, i: int | None = None) -> Tensor:
    return layer_norm(x, layer(w, name, i), 1e-12)


def bert(w: Weights, tok: Tensor, seg: Tensor) -> tuple[Tensor, Tensor]:
    see = (tok != 0)[:, None, None, :]
    x = norm(w, "n0", w["word"][tok] + w["place"] + w["segment"][seg])
    for i in range(len(w["n1.g"])):
        x = norm(w, "n1", x + attention(layer(w, "attention", i), x, see), i)
        m = layer(w, "mlp", i)
        x = norm(w, "n2", x + F.gelu(x @ m["w1"] + m["b1"]) @ m["w2"] + m["b2"], i)
    words = norm(w, "n3", F.gelu(x @ w["w"] + w["b"])) @ w["word"].T + w["bw"]
    return words, (x[:, 0] @ w["pool"] + w["bp"]).tanh() @ w["wf"] + w["bf"]


def masked(batch: Batch, guess: Tensor) -> Tensor:
    tok, r = batch["tok"], batch["r"]
    other = (batch["word"] * VOCABULARY) >> 32
    shown = torch.where(r < 0.8, MASK, torch.where(r < 0.9, other, tok))
    return torch.where(guess, shown, tok)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    guess = (batch["guess"] < 0.4) & (batch["tok"] > MASK)
    words, follows = bert(w, masked(batch, guess), batch["seg"])
    return cross_entropy(words[guess], batch["tok"][guess]) + cross_entropy(follows, batch["follows"])


MODEL = Model(
    loss,
    warmup_linear(100, 3e-3),
    eps=1e-6,
    decay=0.01,
    decayed=("word", "place", "segment", "attention.w?", "mlp.w?", "w", "pool", "wf"),
    clip=1.0,
    draws={"guess": ("0",), "r": ("1",), "word": ("2",)},
    values={"train.drop": "0"},
)
