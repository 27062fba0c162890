"""Mamba: a causal convolution of each channel, a selective state space turn by turn, a gate."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.oracle.parts import cross_entropy, rms_norm
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, warmup_cosine


def ssm(w: Weights, x: Tensor) -> Tensor:
    dt = F.softplus(x @ w["wr"] @ w["wt"] + w["bt"])
    b, c, a = x @ w["wb"], x @ w["wc"], -w["a"].exp()
    h = torch.zeros(x.shape[0], *a.shape, dtype=x.dtype)
    outputs = []
    for t in range(x.shape[1]):
        h = (dt[:, t, :, None] * a).exp() * h + (dt[:, t] * x[:, t])[:, :, None] * b[:, t, None, :]
        outputs.append((h * c[:, t, None, :]).sum(-1))
    return torch.stack(outputs, 1) + w["d"] * x


def block(w: Weights, x: Tensor) -> Tensor:
    places = w["conv"].shape[1]
    y = F.pad((x @ w["w"]).transpose(1, 2), (places - 1, 0))
    y = F.conv1d(y, w["conv"][:, None], w["bc"], groups=len(w["bc"])).transpose(1, 2)
    return (ssm(layer(w, "ssm"), F.silu(y)) * F.silu(x @ w["wz"])) @ w["wo"]


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    x = w["emb"][batch["tok"]]
    for i in range(len(w["norm.g"])):
        x = x + block(layer(w, "block", i), rms_norm(x, w["norm.g"][i], 1e-5))
    return cross_entropy(rms_norm(x, w["nf.g"], 1e-5) @ w["emb"].T, batch["next"])


MODEL = Model(
    loss,
    warmup_cosine(20, 6e-3),
    betas=(0.9, 0.95),
    decay=0.1,
    decayed=("emb", "block.w", "block.wz", "block.wo", "*.wr", "*.wb", "*.wc", "*.wt"),
    clip=1.0,
)
