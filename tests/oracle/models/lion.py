"""An MLP-mixer, and Lion."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from tests.oracle.images import linear, patches
from tests.oracle.optimizers import Equations
from tests.oracle.optimizers import lion as rule
from tests.oracle.parts import cross_entropy, layer_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, real, warmup_cosine


def mix(w: Weights, x: Tensor) -> Tensor:
    return linear(layer(w, "b"), F.gelu(linear(layer(w, "a"), x)))


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = patches((real(batch["x"]) / 8 - 1).reshape(-1, 8, 8, 1), 2)
    h = x @ w["embed"].flatten(0, 1)
    for i in range(len(w["n1.g"])):
        n = layer_norm(h, layer(w, "n1", i))
        h = h + mix(layer(w, "tokens", i), n.transpose(1, 2)).transpose(1, 2)
        h = h + mix(layer(w, "width", i), layer_norm(h, layer(w, "n2", i)))
    return cross_entropy(linear(layer(w, "head"), layer_norm(h, layer(w, "nf")).mean(1)), batch["y"])


def lion(groups: list[dict[str, Any]], lr: float) -> Any:
    return Equations(groups, [rule(0.1), rule()])


MODEL = Model(loss, warmup_cosine(10, 1e-3), decayed=("embed", "*.w"), optimizer=lion)
