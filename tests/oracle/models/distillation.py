"""Softened scores of a teacher that does not learn."""

from __future__ import annotations

import torch.nn.functional as F

from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, linear, real

HOT = 3.0


def wide(w: Weights, x: Tensor) -> Tensor:
    for i in "12":
        x = F.relu(x @ w[f"w{i}"] + w[f"b{i}"])
    return x @ w["w3"] + w["b3"]


def narrow(w: Weights, x: Tensor) -> Tensor:
    return F.relu(x @ w["w"] + w["b"]) @ w["v"] + w["c"]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = real(batch["x"]) / 16 - 0.5
    teacher, student = wide(layer(w, "teacher"), x).detach(), narrow(layer(w, "student"), x)
    logs = [(z / HOT).log_softmax(-1) for z in (student, teacher)]
    return HOT**2 * F.kl_div(*logs, reduction="batchmean", log_target=True)


MODEL = Model(loss, linear(0.01), frozen=("teacher.*",))
