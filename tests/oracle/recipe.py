"""How a PyTorch model is trained beside ours: the same weights, batches, draws, learning rates and decay.

Takes: our tensors by label path, axes as the job declares them. Promises: everything in the precision that
`computed_in` says; `losses` gives the loss before each step, `gradients` those of the first batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Batch", "Kept", "Loss", "Model", "Tensor", "Weights", "gradients", "layer", "losses", "real", "tensors"]

Weights = Mapping[str, Tensor]
#: what layers keep from step to step; a loss changes it in place
Kept = dict[str, Tensor]
#: fields of the data, and draws by the names that the model gives them
Batch = Mapping[str, Tensor]
Optimizer = Callable[..., torch.optim.Optimizer]
Loss = Callable[[Weights, Kept, Batch], Tensor]


@dataclass(frozen=True)
class Model:
    """One spec. `rate`: step, steps of the job → learning rate. `decayed`: globs of what the decay is taken from.
    `frozen`: globs of what is not trained. `draws`: name → the label path of the draw in our text and its number
    there. `optimizer`: AdamW where nothing is said. `values`: what is set beyond specs/tiny.toml."""

    loss: Loss
    rate: Callable[[int, int], float]
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decay: float = 0.0
    decayed: tuple[str, ...] = ()
    clip: float | None = None
    frozen: tuple[str, ...] = ()
    draws: Mapping[str, tuple[str, ...]] | None = None
    optimizer: Optimizer | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def is_decayed(self, name: str) -> bool:
        return among(name, self.decayed)

    def is_trained(self, name: str) -> bool:
        return not among(name, self.frozen)


def among(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def layer(w: Weights, path: str, index: int | None = None) -> dict[str, Tensor]:
    """The tensors below a label; `index`: those of one turn of the `repeat` around it."""
    below = {name.removeprefix(f"{path}."): t for name, t in w.items() if name.startswith(f"{path}.")}
    return below if index is None else {name: t[index] for name, t in below.items()}


@contextmanager
def computed_in(dtype: torch.dtype) -> Iterator[None]:
    """`dtype` is what `tensors`, `real`, constants and quotients of whole numbers are in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def real(x: Tensor) -> Tensor:
    """In the precision that is computed in."""
    return x.to(torch.get_default_dtype())


def tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Copies; whole numbers as indices."""
    return {name: tensor(a) for name, a in arrays.items()}


def tensor(array: NDArray[Any]) -> Tensor:
    if array.dtype.kind == "f":
        return torch.tensor(array, dtype=torch.get_default_dtype())
    return torch.from_numpy(array.astype(np.int64))


def losses(
    model: Model, ours: Mapping[str, NDArray[Any]], kept: Kept, batches: Sequence[Batch], steps: int
) -> list[float]:
    """`steps`: of the whole job, which schedules look at."""
    w = {name: t.requires_grad_(model.is_trained(name)) for name, t in tensors(ours).items()}
    optimizer = optimizer_of(model, {name: t for name, t in w.items() if t.requires_grad})
    return [step(model, w, kept, optimizer, batch, model.rate(i, steps)) for i, batch in enumerate(batches)]


def step(model: Model, w: Weights, kept: Kept, optimizer: torch.optim.Optimizer, batch: Batch, rate: float) -> float:
    optimizer.zero_grad()
    loss = model.loss(w, kept, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    if model.clip is not None:
        clip([t.grad for t in w.values() if t.grad is not None], model.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.item()


def optimizer_of(model: Model, trained: Weights) -> torch.optim.Optimizer:
    groups = [
        {"params": [t for n, t in trained.items() if model.is_decayed(n) == on], "weight_decay": model.decay * on}
        for on in (True, False)
    ]
    make = model.optimizer or partial(torch.optim.AdamW, betas=model.betas, eps=model.eps)
    return make([group for group in groups if group["params"]], lr=0.0)


def clip(found: list[Tensor], most: float) -> None:
    """Scale by most / norm where the norm of all is larger."""
    norm = torch.nn.utils.get_total_norm(found)
    if norm > most:
        torch._foreach_mul_(found, most / norm)


def gradients(model: Model, ours: Mapping[str, NDArray[Any]], kept: Kept, batch: Batch) -> dict[str, NDArray[Any]]:
    """Of every trained parameter; zeros where the loss does not depend on it."""
    w = {name: t.requires_grad_(model.is_trained(name)) for name, t in tensors(ours).items()}
    model.loss(w, kept, batch).backward()  # type: ignore[no-untyped-call]
    return {name: grad(t) for name, t in w.items() if t.requires_grad}


def grad(t: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = (torch.zeros_like(t) if t.grad is None else t.grad).numpy()
    return found


# ---- learning rates, as std.schedule has them ----


def constant(hi: float) -> Callable[[int, int], float]:
    return lambda t, n: hi


def linear(hi: float, lo: float = 0.0) -> Callable[[int, int], float]:
    return lambda t, n: hi + (lo - hi) * t / n


def cosine(hi: float, lo: float = 0.0) -> Callable[[int, int], float]:
    return lambda t, n: lo + (hi - lo) * 0.5 * (1 + math.cos(math.pi * t / n))


def warmup_linear(warm: int, hi: float, lo: float = 0.0) -> Callable[[int, int], float]:
    return lambda t, n: hi * (t + 1) / warm if t < warm else hi + (lo - hi) * (t - warm) / (n - warm)


def warmup_cosine(warm: int, hi: float, lo: float = 0.0) -> Callable[[int, int], float]:
    def rate(t: int, n: int) -> float:
        return (
            hi * (t + 1) / warm
            if t < warm
            else lo + (hi - lo) * 0.5 * (1 + math.cos(math.pi * (t - warm) / (n - warm)))
        )

    return rate
