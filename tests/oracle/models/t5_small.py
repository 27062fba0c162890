"""T5 on spans taken out: an encoder that sees what is left, a decoder that says the spans, kinds of distances."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

from tests.oracle.images import whole
from tests.oracle.optimizers import Equations, stacked
from tests.oracle.optimizers import adafactor as rule
from tests.oracle.parts import cross_entropy, linear, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, constant, layer

SPANS, EACH, SHOWN, SAID, WIDTH = 3, 20, 18, 4, 32
ENCODER, DECODER, LONGEST = 8, 16, 128


def spans(tok: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """What the encoder sees, what the decoder says."""
    sentinels = (160 - 1 - torch.arange(SPANS))[None, :, None]
    tok, at = tok.unflatten(1, (SPANS, EACH)), at[..., None]  # type: ignore[no-untyped-call]
    i = torch.arange(SHOWN)
    left = tok.gather(2, i + 2 * (i > at))
    j = torch.arange(SAID)
    gone = tok.gather(2, (at + j - 1).clamp(min=0))
    return torch.where(i == at, sentinels, left).flatten(1), torch.where(j == 0, sentinels, gone).flatten(1)


def kind(distance: Tensor, kinds: int) -> Tensor:
    """Below `kinds` one each, then in equal ratios up to LONGEST."""
    edges = kinds * (LONGEST / kinds) ** (torch.arange(kinds) / kinds)
    far = (edges <= distance[..., None] + 0.01).sum(-1) - 1
    return torch.where(distance < kinds, distance, kinds + far.clamp(min=0))


def attention(w: Weights, x: Tensor, y: Tensor, bias: Tensor | None) -> Tensor:
    q, (k, v) = linear(x, w["wq"]), (linear(y, w[name]) for name in ("wk", "wv"))
    scores = torch.einsum("bthk,bshk->bhts", q, k)
    if bias is not None:
        scores = scores + bias.permute(2, 0, 1)
    return linear(torch.einsum("bhts,bshk->bthk", scores.softmax(-1), v), w["wo"], 2)


def mlp(w: Weights, x: Tensor) -> Tensor:
    return F.relu(x @ w["w1"]) @ w["w2"]


def normed(w: Weights, name: str, x: Tensor, i: int | None = None) -> Tensor:
    return rms_norm(x, w[f"{name}.g"] if i is None else w[f"{name}.g"][i], 1e-6)


def encoder(w: Weights, x: Tensor) -> Tensor:
    places = torch.arange(x.shape[1])
    ahead = places - places[:, None]
    bias = w["near"][kind(ahead.abs(), ENCODER) + 2 * ENCODER * (ahead > 0)]
    for i in range(len(w["n1.g"])):
        y = normed(w, "n1", x, i)
        x = x + attention(layer(w, "attention", i), y, y, bias)
        x = x + mlp(layer(w, "mlp", i), normed(w, "n2", x, i))
    return normed(w, "nf", x)


def decoder(w: Weights, x: Tensor, seen: Tensor) -> Tensor:
    places = torch.arange(x.shape[1])
    back = places[:, None] - places
    bias = torch.where((back >= 0)[..., None], w["near"][kind(back.clamp(min=0), DECODER)], -math.inf)
    for i in range(len(w["n1.g"])):
        y = normed(w, "n1", x, i)
        x = x + attention(layer(w, "attention", i), y, y, bias)
        x = x + attention(layer(w, "cross", i), normed(w, "n2", x, i), seen, None)
        x = x + mlp(layer(w, "mlp", i), normed(w, "n3", x, i))
    return normed(w, "nf", x)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    source, target = spans(batch["tok"], whole(batch["at"], 0, SHOWN))
    said = F.pad(target[:, :-1], (1, 0))
    y = decoder(layer(w, "decoder"), w["emb"][said], encoder(layer(w, "encoder"), w["emb"][source]))
    return cross_entropy((y / math.sqrt(WIDTH)) @ w["emb"].T, target)


def adafactor(groups: list[dict[str, Any]], lr: float) -> Any:
    one = [({**group, "params": [p]}, of(p, i == 0)) for i, group in enumerate(groups) for p in group["params"]]
    return Equations([group for group, _ in one], [stacked(rule, *form) for _, form in one])


def of(p: Tensor, is_map: bool) -> tuple[int, int]:
    """Stacks, and axes before the arrow: no axis but that of the layers is 1; D is 32, H K are 2 and 16."""
    stacks = int(p.shape[0] == 1)
    return stacks, (1 + (p.ndim == 4 and p.shape[1] == 2)) * is_map


MODEL = Model(
    loss,
    constant(0.1),
    decayed=("emb", "*.near", "*.w?"),
    optimizer=adafactor,
    draws={"at": ("0",)},
)
