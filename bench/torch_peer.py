"""PyTorch as a contender, eager or compiled.

Takes: the folder of given.py. Promises: the training of torch_trainer.py on exactly as many threads as asked; data are
tensors before any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.given import Given
from bench.memory import keep_memory
from bench.torch_models import Tensors, model_of
from bench.torch_trainer import Trainer, torch_batch


def opened(folder: Path, threads: int, variant: str) -> Theirs:
    keep_memory()
    torch.set_num_threads(threads)
    # compiled code is made for a number of threads; what is kept on disk might be for another
    torch.compiler.config.force_disable_caches = True
    given = Given.read(folder)
    model = model_of(given.about["name"], given.weights)
    trainer = Trainer(model, given.weights, given.statistics, given.about["steps"], variant)
    return Theirs(trainer, [torch_batch(batch) for batch in given.batches])


@dataclass(frozen=True)
class Theirs:
    """`batches`: the same as in our rows."""

    trainer: Trainer
    batches: Sequence[Tensors]

    def reset(self) -> None:
        self.trainer.reset()

    def run(self, steps: int) -> None:
        for i in range(steps):
            number = i % len(self.batches)
            self.trainer.step(number, self.batches[number])

    def losses(self, steps: int) -> NDArray[Any]:
        self.reset()
        return np.array(self.trainer.losses(self.batches[:steps]))
