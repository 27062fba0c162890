"""PyTorch on a GPU beside us (gpu.py): products of matrices by cuBLAS, whole steps eager and compiled; no TF32.

Takes: our operands, our weights, our batches. Promises: contenders of timing.py that have waited for the GPU when a
window ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


def product_of(values: Mapping[str, Array], narrow: bool) -> dict[str, Contender]:
    """By cuBLAS, in float32 or in bfloat16."""
    torch.backends.cuda.matmul.allow_tf32 = False
    dtype = torch.bfloat16 if narrow else torch.float32
    a, b = (torch.from_numpy(values[name]).to("cuda", dtype) for name in "ab")
    into = torch.empty((a.shape[0], b.shape[1]), device="cuda", dtype=dtype)
    theirs = Theirs(lambda number: torch.mm(a, b, out=into), torch.cuda.synchronize)
    return {f"cuBLAS {'bfloat16' if narrow else 'float32'}": theirs}


def trainers(
    work: Workload, plan: Plan, state: Mapping[str, Array], rows: NDArray[np.uint8], narrow: bool
) -> dict[str, Contender]:
    """`narrow`: under autocast to bfloat16."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    weights, kept = of_kind(state, work.job, "parameter"), of_kind(state, work.job, "layer")
    batches = [torch_batch(fields_of(work.job, plan.routine("step"), row), "cuda") for row in rows]
    found: dict[str, Contender] = {}
    for variant in (EAGER, COMPILED):
        model = model_of(work.name, weights)
        model = replace(model, loss=cast(model.loss)) if narrow else model
        trainer = Trainer(model, weights, kept, work.job.steps, variant, device="cuda")

        def step(number: int, trainer: Trainer = trainer) -> None:
            trainer.step(number, batches[number % len(batches)])

        found[f"{variant}, bfloat16" if narrow else variant] = Theirs(step, torch.cuda.synchronize)
    return {name: theirs for name, theirs in found.items() if runs(name, theirs)}


def runs(name: str, theirs: Contender) -> bool:
    """Whether it comes through two steps: what compiles itself on the first may fail there, for want of a compiler or
    of memory, and ours is measured all the same."""
    try:
        theirs.run(2)
    except Exception as error:
        print(f"{name} left out: {error}", file=sys.stderr)
        return False
    return True


def cast(loss: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The loss with products in bfloat16."""

    def narrowed(*given: Any) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return loss(*given)

    return narrowed
