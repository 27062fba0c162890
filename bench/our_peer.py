"""Our own native code as a contender, in the contract's order or in one that is free.

Takes: the folder of given.py. Promises: `contract` runs the very plan that the job has; `free` the same with
orders of accumulation that speed alone decides (free_order.py): no receipt could be for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import free_order
from bench.given import PLAN, ROWS
from jobspec.backends.registry import backend
from jobspec.backends.session import Session
from jobspec.ir.codec.plan_file import decode_plan_file
from jobspec.runtime.batches import Rows


def opened(folder: Path, threads: int, variant: str) -> Ours:
    job, plan = decode_plan_file((folder / PLAN).read_bytes())
    if variant == "free":
        free_order.take()
    session = backend("llvm").open(plan, job, threads, folder / f"objects of {variant}")
    return Ours(session, aligned(np.load(folder / ROWS, mmap_mode="r")))


def aligned(rows: NDArray[np.uint8]) -> Rows:
    """The rows, the first on a cache line."""
    room = np.zeros(rows.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    found = room[start : start + rows.nbytes].reshape(rows.shape)
    found[...] = rows
    return found


@dataclass(frozen=True)
class Ours:
    """A session. `rows`: the batches."""

    session: Session
    rows: Rows

    def reset(self) -> None:
        outcome = self.session.run("init", 0, np.zeros((1, 0), np.uint8))
        assert not outcome.flags, outcome.flags

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
