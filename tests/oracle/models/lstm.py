"""An LSTM layer turn by turn; gates in our order: input, forget, output, candidate."""

from __future__ import annotations

import torch

from tests.oracle.parts import cross_entropy
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, cosine, layer


def lstm(w: Weights, x: Tensor) -> Tensor:
    z = torch.einsum("btd,dgh->btgh", x, w["wx"]) + w["b"]
    h = c = torch.zeros_like(z[:, 0, 0])
    outputs = []
    for t in range(x.shape[1]):
        i, f, o, g = (z[:, t] + torch.einsum("bh,hgk->bgk", h, w["wh"])).unbind(1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, 1)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    h = lstm(layer(w, "lstm"), w["emb"][batch["tok"]])
    return cross_entropy(h @ w["head"] + w["bias"], batch["next"])


MODEL = Model(loss, cosine(4e-3), clip=1.0)
