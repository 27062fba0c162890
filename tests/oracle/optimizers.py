"""Optimizers that torch.optim lacks, or computes in bfloat16, or not per layer of a stack: their equations in float64.

Takes: groups of parameters as torch.optim does, and for each group one function `(p, g, state, lr) -> p`. Promises: the
face of a torch optimizer, as far as recipe.py looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
Rule = Callable[[Tensor, Tensor, State, float], Tensor]


class Equations:
    """`rules`: one for each group, or one for all."""

    def __init__(self, groups: Sequence[dict[str, Any]], rules: Sequence[Rule], lr: float = 0.0) -> None:
        self.param_groups = [{"lr": lr, **group} for group in groups]
        self.rules = list(rules) * (len(groups) if len(rules) == 1 else 1)
        self.states: dict[Tensor, State] = {}

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        for group, rule in zip(self.param_groups, self.rules, strict=True):
            for p in group["params"]:
                state = self.states.setdefault(p, {"t": 0})
                state["t"] += 1
                p.data = rule(p.data, p.grad, state, group["lr"])


def kept(state: State, name: str, like: Tensor, old: float, new: Tensor) -> Tensor:
    """`name` becomes old*itself + new; it starts at 0."""
    state[name] = old * state.get(name, torch.zeros_like(like)) + new
    found: Tensor = state[name]
    return found


def lion(decay: float = 0.0, b1: float = 0.9, b2: float = 0.99) -> Rule:
    """arXiv 2302.06675, algorithm 2."""

    def rule(p: Tensor, g: Tensor, state: State, lr: float) -> Tensor:
        u = torch.sign(b1 * state.get("m", torch.zeros_like(p)) + (1 - b1) * g)
        kept(state, "m", p, b2, (1 - b2) * g)
        return p - lr * (u + decay * p)

    return rule


def newton_schulz(x: Tensor) -> Tensor:
    """Jordan's five steps (github.com/KellerJordan/Muon), in float64 where he has bfloat16."""
    wide = x if x.shape[0] <= x.shape[1] else x.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        gram = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * gram + 2.0315 * gram @ gram) @ wide
    return wide if x.shape[0] <= x.shape[1] else wide.T


def muon(decay: float = 0.0, mu: float = 0.95) -> Rule:
    """Of one matrix (out, in), as torch.optim.Muon."""

    def rule(p: Tensor, g: Tensor, state: State, lr: float) -> Tensor:
        m = kept(state, "m", p, mu, (1 - mu) * g)
        u = newton_schulz((1 - mu) * g + mu * m)
        return p - lr * (decay * p + max(1, p.shape[0] / p.shape[1]) ** 0.5 * u)

    return rule


def adamw(times: float = 1.0, decay: float = 0.01, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rule:
    """torch.optim.AdamW at `times` the group's rate."""

    def rule(p: Tensor, g: Tensor, state: State, lr: float) -> Tensor:
        m, v = kept(state, "m", p, b1, (1 - b1) * g), kept(state, "v", p, b2, (1 - b2) * g * g)
        t = state["t"]
        return p - times * lr * (decay * p + m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps))

    return rule


def adafactor(p: Tensor, g: Tensor, state: State, lr: float) -> Tensor:
    """torch.optim.Adafactor as it stands, of one matrix or vector, without decay."""
    k, tiny = state["t"] ** -0.8, torch.finfo(torch.float32).eps
    if p.ndim == 2:
        r = kept(state, "r", p[:, :1], 1 - k, k * g.square().mean(1, keepdim=True))
        c = kept(state, "c", p[:1], 1 - k, k * g.square().mean(0, keepdim=True))
        v = r * c / r.mean().clamp(min=tiny)
    else:
        v = kept(state, "v", p, 1 - k, k * g.square())
    u = g * v.clamp(min=tiny * tiny).rsqrt()
    rate = max(1e-3, p.square().mean().sqrt().item()) * min(lr, state["t"] ** -0.5)
    return p - rate / max(1.0, u.square().mean().sqrt().item()) * u


def stacked(rule: Rule, stacks: int, left: int) -> Rule:
    """`rule` of each matrix (out, in) in a parameter with `stacks` leading axes and then `left` axes before its arrow;
    `left` 0: of each vector."""

    def whole(p: Tensor, g: Tensor, state: State, lr: float) -> Tensor:
        layers = p.shape[:stacks].numel()
        rows = p.shape[stacks : stacks + left].numel()
        form = (layers, rows, -1) if left else (layers, -1)
        states = state.setdefault("layers", [{"t": 0} for _ in range(layers)])
        pieces = []
        for i, own in enumerate(states):
            own["t"] += 1
            one, gradient = p.reshape(form)[i], g.reshape(form)[i]
            pieces.append(rule(one.T, gradient.T, own, lr).T if left else rule(one, gradient, own, lr))
        return torch.stack(pieces).reshape(p.shape)

    return whole
