"""PyTorch on a GPU beside us (gpu.py): products of matrices by cuBLAS, whole steps eager and compiled; no TF32.

Takes: our operands, our weights, our batches. Promises: contenders of timing.py that have waited for the GPU when a
window ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.timing import Contender
from bench.torch_models import model_of
from bench.torch_trainer import COMPILED, EAGER, Trainer, torch_batch
from bench.workloads import Array, Workload, fields_of, of_kind
from jobspec.ir.plan import Plan


@dataclass(frozen=True)
class Theirs:
    """PyTorch on the GPU: what a step is, and how to wait for it."""

    step: Any
    wait: Any

    def reset(self) -> None:
        self.wait()

    def run(self, steps: int) -> None:
        for number in range(steps):
            self.step(number)
        self.wait()


def product_of(values: Mapping[str, Array]) -> Theirs:
    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = (torch.from_numpy(values[name]).cuda() for name in "ab")
    into = torch.empty((a.shape[0], b.shape[1]), device="cuda")
    return Theirs(lambda number: torch.mm(a, b, out=into), torch.cuda.synchronize)


def trainers(work: Workload, plan: Plan, state: Mapping[str, Array], rows: NDArray[np.uint8]) -> dict[str, Contender]:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    weights, kept = of_kind(state, work.job, "parameter"), of_kind(state, work.job, "layer")
    batches = [torch_batch(fields_of(work.job, plan.routine("step"), row), "cuda") for row in rows]
    found: dict[str, Contender] = {}
    for variant in (EAGER, COMPILED):
        model = model_of(work.name, weights)
        trainer = Trainer(model, weights, kept, work.job.steps, variant, device="cuda")

        def step(number: int, trainer: Trainer = trainer) -> None:
            trainer.step(number, batches[number % len(batches)])

        found[variant] = Theirs(step, torch.cuda.synchronize)
    return found
