"""`python -m bench.kernel_peers CONTENDER THREADS`: kernels alone, ours, PyTorch's or numpy's, as contenders.py asks.

Takes: names of alone.py. Promises: all contenders do the same on the same operands; what numpy and PyTorch can write
into memory that is there already, they do.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench import alone
from bench.ours import Stepping
from bench.ours import opened as opened_ours
from bench.timing import Contender, window
from jobspec.backends.registry import backend

Tensors = Mapping[str, torch.Tensor]


def opened(contender: str, name: str, threads: int, folder: Path) -> Contender | None:
    """`contender` at the kernel `name`; None where it knows none."""
    if contender == "jobspec":
        return Stepping(*opened_ours(name, threads, backend("llvm"), folder))
    values = alone.values(name)
    if name in alone.KERNELS:
        tensors = {n: torch.from_numpy(v) for n, v in values.items()}
        return Repeated(KERNELS[name](tensors)) if contender == "torch" else None
    layout = name.split()[0]
    a, b = (v.T if side == "t" else v for v, side in zip(values.values(), layout, strict=True))
    out = np.zeros((a.shape[0], b.shape[1]), np.float32)
    if contender == "numpy":
        return Repeated(lambda: np.matmul(a, b, out=out))
    x, y, z = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)
    return Repeated(lambda: torch.mm(x, y, out=z))


@dataclass(frozen=True)
class Repeated:
    """A contender that runs one thing again and again."""

    once: Callable[[], object]

    def reset(self) -> None:
        pass

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.once()


def main(contender: str, threads: str) -> None:
    """{"open": NAME}: whether it knows that kernel; {"window": n}: seconds per run over n runs of it."""
    count = int(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    torch.set_num_threads(count)
    found: Contender | None = None
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            request = json.loads(line)
            if "open" in request:
                found = opened(contender, request["open"], count, Path(folder))
                print(json.dumps(found is not None), flush=True)
            else:
                assert found is not None, "opened first"
                print(json.dumps(window(found, request["window"])), flush=True)


def softmax(t: Tensors) -> Callable[[], object]:
    out = torch.empty_like(t["x"])
    return lambda: torch.softmax(t["x"], -1, out=out)


def layer_norm(t: Tensors) -> Callable[[], object]:
    return lambda: F.layer_norm(t["x"], t["g"].shape, t["g"], t["b"], 1e-5)


def layer_norm_back(t: Tensors) -> Callable[[], object]:
    """From the mean and deviation on: PyTorch keeps them, ours computes them again."""
    x, size = t["x"], t["g"].shape
    _, mean, inverse = torch.native_layer_norm(x, size, t["g"], None, 1e-5)
    back: Any = torch.ops.aten.native_layer_norm_backward
    bias = torch.zeros(size)
    return lambda: back(t["dy"], x, size, mean, inverse, t["g"], bias, [True, True, True])


def gelu(t: Tensors) -> Callable[[], object]:
    return lambda: F.gelu(t["x"])


def gelu_back(t: Tensors) -> Callable[[], object]:
    back: Any = torch.ops.aten.gelu_backward
    return lambda: back(t["dy"], t["x"])


def cross_entropy(t: Tensors) -> Callable[[], object]:
    z, label = t["z"].requires_grad_(), t["label"].long()
    return lambda: torch.autograd.grad(F.cross_entropy(z, label), z)


def adamw(t: Tensors) -> Callable[[], object]:
    p = t["p"].requires_grad_()
    p.grad = t["g"]
    optimizer = torch.optim.AdamW([p], lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    return optimizer.step


KERNELS: Mapping[str, Callable[[Tensors], Callable[[], object]]] = {
    "softmax": softmax,
    "layer_norm": layer_norm,
    "layer_norm_back": layer_norm_back,
    "gelu": gelu,
    "gelu_back": gelu_back,
    "cross_entropy": cross_entropy,
    "adamw": adamw,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
