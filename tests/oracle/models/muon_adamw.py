"""A transformer over rows of pixels; its hidden maps go Muon's way, layer by layer, all else AdamW's."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from tests.oracle.images import linear
from tests.oracle.optimizers import Equations, adamw, muon, stacked
from tests.oracle.parts import attended, cross_entropy, rms_norm
from tests.oracle.parts import linear as folded
from tests.oracle.recipe import Batch, Kept, Model, Tensor, Weights, layer, real, warmup_cosine


def attention(w: Weights, x: Tensor) -> Tensor:
    q, k, v = (folded(x, w[f"w{n}"]) for n in "qkv")
    return folded(attended(q, k, v, None), w["wo"], 2)


def loss(w: Weights, kept: Kept, batch: Batch) -> Tensor:
    h = (real(batch["x"]) / 8 - 1).reshape(-1, 8, 8) @ w["embed"] + w["place"]
    for i in range(len(w["n1.g"])):
        h = h + attention(layer(w, "attn", i), rms_norm(h, w["n1.g"][i], 1e-6))
        m = layer(w, "mlp", i)
        h = h + F.relu(rms_norm(h, w["n2.g"][i], 1e-6) @ m["w1"] + m["b1"]).square() @ m["w2"] + m["b2"]
    return cross_entropy(linear(layer(w, "head"), rms_norm(h, w["nf.g"], 1e-6).mean(1)), batch["y"])


def both(groups: list[dict[str, Any]], lr: float) -> Any:
    """The maps of the attention are L D H K and L H K D, those of the MLP L D F and L F D."""
    hidden, rest = groups
    maps = [{**hidden, "params": [p]} for p in hidden["params"]]
    left = [2 if p.ndim == 4 and p.shape[-1] == 32 else 1 for p in hidden["params"]]
    return Equations([*maps, rest], [*(stacked(scaled(0.02), 1, n) for n in left), adamw(3e-3)])


def scaled(times: float) -> Any:
    rule = muon()
    return lambda p, g, state, lr: rule(p, g, state, times * lr)


MODEL = Model(loss, warmup_cosine(10, 1), decayed=("attn.w?", "mlp.w?"), optimizer=both)
