"""One of our jobs trained by PyTorch, in the variants that a user would try.

Takes: a model (torch_models.py), our initial state, the job's number of steps. Promises: `step` does one whole training
step, forward, backward, clipping, learning rate and optimizer; `reset` goes back to the initial state in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.torch_models import Model, Tensors

#: variants: a fused optimizer or the plain one, and what torch.compile takes
EAGER, FUSED, COMPILED = "torch eager", "torch eager, fused optimizer", "torch.compile"

#: fields that are no index
PIXELS = ("x", "img")


def tensors(
    arrays: Mapping[str, NDArray[Any]], dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()).to(device, dtype) for name, array in arrays.items()}


def torch_batch(fields: Mapping[str, NDArray[Any]], device: str = "cpu") -> dict[str, Tensor]:
    """A batch by field; whatever is an index is widened here, outside of the step."""
    found = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in fields.items()}
    return {name: t if name in PIXELS else t.long() for name, t in found.items()}


class Trainer:
    """`ours`: our parameters by label path; `statistics`: what layers keep; `steps`: of the whole job."""

    def __init__(
        self,
        model: Model,
        ours: Mapping[str, NDArray[Any]],
        statistics: Mapping[str, NDArray[Any]],
        steps: int,
        variant: str = EAGER,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self._model, self._steps = model, steps
        self.weights = {n: leaf(t, model.channels_last) for n, t in model.weights(tensors(ours, dtype, device)).items()}
        self.statistics = tensors(statistics, dtype, device)
        self._initial = {n: t.detach().clone() for n, t in (self.weights | self.statistics).items()}
        self._leaves = list(self.weights.values())
        self._optimizer = optimizer_of(model, self._leaves, fused=variant != EAGER)
        self._loss = torch.compile(model.loss) if variant == COMPILED else model.loss

    def reset(self) -> None:
        """The weights, statistics and optimizer as they were in the beginning."""
        with torch.no_grad():
            for name, tensor in (self.weights | self.statistics).items():
                tensor.copy_(self._initial[name])
            for kept in self._optimizer.state.values():
                for tensor in kept.values():
                    tensor.zero_()

    def step(self, number: int, batch: Tensors) -> Tensor:
        """Step `number`, from 0; the loss before it."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self.weights, self.statistics, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        clip(self._leaves, self._model.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = self._model.rate(number, self._steps)
        self._optimizer.step()
        return loss.detach()

    def losses(self, batches: Sequence[Tensors]) -> list[float]:
        """Losses of the first steps of a run."""
        return [float(self.step(i, batch)) for i, batch in enumerate(batches)]


def leaf(tensor: Tensor, channels_last: bool) -> Tensor:
    """A parameter with memory of its own, in the layout that its operations like."""
    layout = torch.channels_last if channels_last and tensor.dim() == 4 else torch.contiguous_format
    return tensor.detach().clone(memory_format=layout).requires_grad_()


def optimizer_of(model: Model, leaves: Sequence[Tensor], *, fused: bool) -> torch.optim.Optimizer:
    groups = [
        {"params": [t for t in leaves if t.dim() >= 2], "weight_decay": model.decay},
        {"params": [t for t in leaves if t.dim() < 2], "weight_decay": model.decay if model.decay_all else 0.0},
    ]
    if model.optimizer == "SGD":
        return torch.optim.SGD(groups, lr=0.0, momentum=model.betas[0], fused=fused)
    kind = torch.optim.AdamW if model.optimizer == "AdamW" else torch.optim.Adam
    return kind(groups, lr=0.0, betas=model.betas, eps=1e-8, fused=fused)


def clip(leaves: Sequence[Tensor], most: float | None) -> None:
    """Scale all gradients by most / norm where their norm is larger."""
    if most is None:
        return
    gradients = [t.grad for t in leaves if t.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm > most:
        torch._foreach_mul_(gradients, most / norm)
