"""A residual MLP, and Adafactor on each of its layers."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from tests.oracle.images import linear
from tests.oracle.optimizers import Equations, stacked
from tests.oracle.optimizers import adafactor as rule
from tests.oracle.parts import cross_entropy, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, constant, layer, real


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    h = linear(layer(w, "embed"), real(batch["x"]) / 8 - 1)
    for i in range(len(w["norm.g"])):
        m = layer(w, "half", i)
        h = h + F.silu(rms_norm(h, w["norm.g"][i], 1e-6) @ m["w1"] + m["b1"]) @ m["w2"] + m["b2"]
    return cross_entropy(linear(layer(w, "head"), rms_norm(h, w["last.g"], 1e-6)), batch["y"])


def adafactor(groups: list[dict[str, Any]], lr: float) -> Any:
    """Group by group: maps of a stack, maps, vectors of a stack, vectors. L is 4, and no other axis is."""
    one = [{**group, "params": [p]} for group in groups for p in group["params"]]
    return Equations(one, [stacked(rule, *form) for form in (of(g["params"][0], i < 4) for i, g in enumerate(one))])


def of(p: Tensor, is_map: bool) -> tuple[int, int]:
    return int(p.shape[0] == 4), int(is_map)


MODEL = Model(loss, constant(0.05), decayed=("embed.w", "head.w", "half.w?"), optimizer=adafactor)
