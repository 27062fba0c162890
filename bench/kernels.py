"""Kernels alone beside their peers: contractions beside PyTorch's and numpy's, the others beside PyTorch's.

Takes: names of alone.py. Promises: the same operands for all, in one process for each number of threads, windows in
turn; ours against the limit measured in the same run: multiply-adds, or bytes at the kernel's own working set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench import alone
from bench.machine import bandwidth
from bench.timing import Timing


@dataclass(frozen=True)
class Alone:
    """Seconds. `limit`: GFLOP/s or GB/s, as `unit` says; `amount`: operations or bytes of one run."""

    name: str
    threads: int
    ours: Timing
    peers: dict[str, Timing]
    amount: float
    limit: float
    unit: str

    @property
    def ratio(self) -> float | None:
        best = min((t.median for t in self.peers.values()), default=None)
        return best / self.ours.median if best else None

    @property
    def reached(self) -> float:
        return self.amount / self.ours.median / 1e9 / self.limit


def measured(names: Sequence[str], threads: int, peak: float, windows: int, seconds: float) -> list[Alone]:
    """All in one process on `threads` cores."""
    words = [sys.executable, "-m", "bench.kernel_peers", str(threads), str(windows), str(seconds), *names]
    limits = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | limits)
    return [found(json.loads(line), threads, peak) for line in done.stdout.splitlines()]


def found(said: dict[str, dict[str, list[float]]], threads: int, peak: float) -> Alone:
    ((name, times),) = said.items()
    timings = {who: Timing(tuple(windows)) for who, windows in times.items()}
    ours = timings.pop("jobspec")
    if name not in alone.KERNELS:
        return Alone(name, threads, ours, timings, 2 * alone.multiply_adds(name), peak, "GFLOP/s")
    traffic = alone.traffic(name)
    return Alone(name, threads, ours, timings, traffic.moved, bandwidth(traffic, threads), "GB/s")
