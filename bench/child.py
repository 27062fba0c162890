"""`python -m bench.child CONTENDER FOLDER THREADS`: one contender in a process of its own, which does as it is told.

Takes: requests, one JSON object a line: {"losses": n}, {"window": n}, {"memory": 0}. Promises: answers in the same
order, one line each: the losses of the first n steps; seconds per step over n steps from the initial state, after one
step that wakes threads and caches up; the process's high-water mark of memory in bytes. The process keeps to as many
cores as it has threads. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.timing import Contender, window

#: contender → module that has `opened(folder, threads, variant)`, variant
CONTENDERS = {
    "jobspec": ("bench.our_peer", "contract"),
    "jobspec, free order": ("bench.our_peer", "free"),
    "torch eager": ("bench.torch_peer", "torch eager"),
    "torch eager, fused optimizer": ("bench.torch_peer", "torch eager, fused optimizer"),
    "torch.compile": ("bench.torch_peer", "torch.compile"),
    "jax.jit": ("bench.jax_peer", "jit"),
    "jax scan": ("bench.jax_peer", "scan"),
    "tinygrad": ("bench.tinygrad_peer", "jit"),
}


class Peer(Contender, Protocol):
    """A contender that also tells its losses."""

    def losses(self, steps: int) -> NDArray[np.float64]:
        """Of the first `steps` steps; at most as many as there are batches."""


def main(name: str, folder: str, threads: str) -> None:
    count = int(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CPU_COUNT"):
        os.environ[variable] = threads
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, variant = CONTENDERS[name]
    peer: Peer = importlib.import_module(module).opened(Path(folder), count, variant)
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line))), file=answers, flush=True)


def answer(peer: Peer, request: dict[str, int]) -> Any:
    if "losses" in request:
        return [float(x) for x in peer.losses(request["losses"])]
    if "window" in request:
        return window(peer, request["window"])
    return most_memory()


def most_memory() -> int:
    """Bytes that this process had in memory at most."""
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(*sys.argv[1:])
