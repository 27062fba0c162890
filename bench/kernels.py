"""Kernels alone beside their peers: contractions beside PyTorch's and numpy's, the others beside PyTorch's.

Takes: names of alone.py. Promises: the same operands for all, windows in turn, each contender in a process of its own
that is stopped while others are timed; ours against the limit measured in the same run: multiply-adds, or bytes at the
kernel's own working set.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import alone
from bench.contenders import Child, by_turns
from bench.machine import bandwidth
from bench.timing import Timing

OURS = "jobspec"
CONTENDERS = (OURS, "torch", "numpy")
#: runs that tell how many fill a window
TRIED = 5


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
    """All on `threads` cores."""
    limits = {name: str(threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        children = [stack.enter_context(opened(who, threads, Path(folder), limits)) for who in CONTENDERS]
        return [found(name, compared(children, name, windows, seconds), threads, peak) for name in names]


def opened(contender: str, threads: int, folder: Path, limits: Mapping[str, str]) -> Child:
    words = [sys.executable, "-m", "bench.kernel_peers", contender, str(threads)]
    return Child(contender, words, folder / f"{contender}.log", os.environ | limits)


def compared(children: Sequence[Child], name: str, windows: int, seconds: float) -> dict[str, Timing]:
    """Of those contenders that know `name`. Raises ChildProcessError where one does not stay."""
    found = by_turns([child for child in children if child.ask(open=name)], windows, seconds, TRIED)
    for child in children:
        if child.failure is not None:
            raise ChildProcessError(f"{child.name}, {name}: {child.failure}")
    return found


def found(name: str, timings: dict[str, Timing], threads: int, peak: float) -> Alone:
    ours = timings.pop(OURS)
    if name not in alone.KERNELS:
        return Alone(name, threads, ours, timings, 2 * alone.multiply_adds(name), peak, "GFLOP/s")
    traffic = alone.traffic(name)
    return Alone(name, threads, ours, timings, traffic.moved, bandwidth(traffic, threads), "GB/s")
