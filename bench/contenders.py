"""Who is compared: our native code, and PyTorch in its variants, each on a fixed number of threads.

Takes: a workload, its initial state, batches. Promises: `losses` are those of the first steps from the initial state;
`run` trains on the same batches in the same order for everyone, round and round; data are read before, never in a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench.timing import Contender
from bench.torch_trainer import Trainer
from bench.workloads import Array
from jobspec.backends.session import Session
from jobspec.runtime.batches import Rows


class Bench(Contender, Protocol):
    """A contender that also tells its losses: `steps` of them, at most as many as there are batches."""

    def losses(self, steps: int) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Ours:
    """A session. `initial`: its state before step 0; `rows`: the batches."""

    session: Session
    initial: Mapping[str, Array]
    rows: Rows

    def reset(self) -> None:
        for name, value in self.initial.items():
            self.session.write(name, value)

    def run(self, steps: int) -> None:
        for first in range(0, steps, len(self.rows)):
            self._run(min(len(self.rows), steps - first))

    def losses(self, steps: int) -> NDArray[np.float64]:
        self.reset()
        return self._run(steps).astype(np.float64)

    def _run(self, count: int) -> NDArray[np.float32]:
        """Losses of the first `count` batches, as steps 0, 1, …"""
        outcome = self.session.run("step", 0, self.rows[:count])
        assert not outcome.flags, outcome.flags
        return outcome.reports[:, 0]


@dataclass(frozen=True)
class Theirs:
    """PyTorch on `threads` threads; `batches`: the same as in our rows."""

    trainer: Trainer
    batches: Sequence[Mapping[str, Any]]
    threads: int

    def reset(self) -> None:
        torch.set_num_threads(self.threads)
        self.trainer.reset()

    def run(self, steps: int) -> None:
        for i in range(steps):
            number = i % len(self.batches)
            self.trainer.step(number, self.batches[number])

    def losses(self, steps: int) -> NDArray[np.float64]:
        self.reset()
        return np.array(self.trainer.losses(self.batches[:steps]))
