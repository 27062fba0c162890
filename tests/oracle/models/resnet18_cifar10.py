"""ResNet-18 for small images, on shifted and mirrored ones."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F

from tests.oracle.images import batch_norm, conv, linear, mirrored, shifted
from tests.oracle.parts import cross_entropy
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, cosine, layer, real


def block(w: Weights, kept: Kept, name: str, x: Tensor, stride: int) -> Tensor:
    h = F.relu(batch_norm(conv(x, w[f"{name}.c1.w"], stride, 1), w, kept, f"{name}.n1"))
    h = batch_norm(conv(h, w[f"{name}.c2.w"], 1, 1), w, kept, f"{name}.n2")
    if stride > 1:
        x = batch_norm(x[:, ::stride, ::stride] @ w[f"{name}.shortcut.w"], w, kept, f"{name}.shortcut.norm")
    return F.relu(h + x)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    img = shifted(shifted(real(batch["img"]), batch["down"], 1, 1), batch["across"], 1, 2)
    mean, deviation = torch.tensor([[0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]])
    x = (mirrored(img, batch["turn"]) / 255 - mean) / deviation
    x = F.relu(batch_norm(conv(x, w["c0.w"], 1, 1), w, kept, "n0"))
    for stage in "1234":
        x = block(w, kept, f"s{stage}a", x, 1 if stage == "1" else 2)
        x = block(w, kept, f"s{stage}b", x, 1)
    return cross_entropy(linear(layer(w, "head"), x.mean((1, 2))), batch["lab"])


MODEL = Model(
    loss,
    cosine(1e-4),
    decay=5e-4,
    decayed=("*",),
    optimizer=partial(torch.optim.SGD, momentum=0.9),
    draws={"down": ("0",), "across": ("1",), "turn": ("2",)},
    # at a rate of .02 PyTorch in float32 leaves its own float64 by 1 % of the loss in 7 steps (we in 19):
    # which side of a ReLU a place is on decides; at this rate by 0.05 % in 30 (we by 4e-7)
    values={"train.lr": "schedule.cosine(step, steps, 1e-4)"},
)
