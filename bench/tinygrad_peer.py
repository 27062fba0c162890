"""tinygrad as a contender: one step behind its TinyJit, on the processor.

Takes: the folder of given.py; `clang`, which tinygrad compiles with. Promises: the training of digits, mnist_cnn and
the GPTs without biases, with weights as in `plain`; any other workload is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.given import Given

os.environ["DEV"] = "CPU"

from tinygrad import Tensor, TinyJit

Tensors = Mapping[str, Any]


def opened(folder: Path, threads: int, variant: str) -> Theirs:
    return Theirs(Given.read(folder))


class Theirs:
    """Weights, what the optimizer keeps, and the batch live in tensors that a step changes in place."""

    def __init__(self, given: Given) -> None:
        name = given.about["name"]
        if name not in LOSSES:
            raise SystemExit(f"no model of {name} for tinygrad")
        self._given, self._loss = given, LOSSES[name]
        self._weights = {n: Tensor(value).contiguous().realize() for n, value in given.plain.items()}
        self._kept = {n: [zeros(w), zeros(w)] for n, w in self._weights.items()}
        self._heads = next((w.shape[2] for n, w in given.weights.items() if n == "attention.wq"), 0)
        self._batches = [{n: tensor(n, value) for n, value in batch.items()} for batch in given.batches]
        self._step = TinyJit(self._one)

    def reset(self) -> None:
        for name, value in self._given.plain.items():
            self._weights[name].assign(Tensor(value)).realize()
            for kept in self._kept[name]:
                kept.assign(Tensor.zeros(*kept.shape)).realize()

    def run(self, steps: int) -> None:
        self._losses(steps)

    def losses(self, steps: int) -> NDArray[np.float64]:
        self.reset()
        return np.array(self._losses(steps))

    def _losses(self, steps: int) -> list[float]:
        found = []
        for i in range(steps):
            first, second = self._given.about["betas"]
            numbers = (self._given.rate(i), 1 - first ** (i + 1), 1 - second ** (i + 1))
            given = [Tensor([n]).realize() for n in numbers]
            found.append(float(self._step(*given, **self._batches[i % len(self._batches)]).item()))
        return found

    def _one(self, rate: Any, first: Any, second: Any, **batch: Any) -> Any:
        loss = self._loss(self._weights, batch, self._heads)
        about, changed = self._given.about, []
        gradients = dict(zip(self._weights, loss.gradient(*self._weights.values()), strict=True))
        if about["clip"]:
            norm = sum((g * g).sum() for g in gradients.values()).sqrt()
            gradients = {name: g * (about["clip"] / norm).minimum(1.0) for name, g in gradients.items()}
        for name, w in self._weights.items():
            g, (m, v), (b1, b2) = gradients[name], self._kept[name], about["betas"]
            m.assign(b1 * m + (1 - b1) * g)
            v.assign(b2 * v + (1 - b2) * g * g)
            decay = about["decay"] if len(w.shape) >= 2 else 0.0
            w.assign(w * (1 - rate * decay) - rate * (m / first) / ((v / second).sqrt() + 1e-8))
            changed += [w, m, v]
        Tensor.realize(loss, *changed)
        return loss


def zeros(like: Any) -> Any:
    return Tensor.zeros(*like.shape).contiguous().realize()


def tensor(name: str, value: NDArray[Any]) -> Any:
    return Tensor(np.ascontiguousarray(value if name == "x" else value.astype(np.int32))).realize()


def digits(w: Tensors, batch: Tensors, heads: int) -> Any:
    x = batch["x"].float() / 16 - 0.5
    x = (x @ w["w1"].T + w["b1"]).relu()
    x = (x @ w["w2"].T + w["b2"]).relu()
    return (x @ w["w3"].T + w["b3"]).sparse_categorical_crossentropy(batch["y"])


def normed(x: Any, w: Tensors, name: str) -> Any:
    """Batch norm in training. The running statistics are left out: nothing in a step reads them."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    gain, bias = (w[f"{name}.{part}"].reshape(1, -1, 1, 1) for part in ("g", "b"))
    return (x - mean) * (variance + 1e-5).rsqrt() * gain + bias


def cnn(w: Tensors, batch: Tensors, heads: int) -> Any:
    x = (batch["x"].float() / 255).unsqueeze(1)
    x = normed(x.conv2d(w["k1"]), w, "n1").relu().max_pool2d()
    x = normed(x.conv2d(w["k2"]), w, "n2").relu().max_pool2d()
    return (x.flatten(1) @ w["w"].T + w["b"]).sparse_categorical_crossentropy(batch["y"])


def gpt(w: Tensors, batch: Tensors, heads: int) -> Any:
    x = w["wte"][batch["tok"]] + w["wpe"]
    size, time, width = x.shape
    for i in range(sum(name.endswith(".qkv") for name in w)):
        parts = (x.layernorm() * w[f"{i}.n1"] @ w[f"{i}.qkv"].T).reshape(size, time, 3, heads, width // heads)
        q, k, v = (parts[:, :, j].transpose(1, 2) for j in range(3))
        seen = q.scaled_dot_product_attention(k, v, is_causal=True)
        x = x + seen.transpose(1, 2).reshape(size, time, width) @ w[f"{i}.out"].T
        hidden = x.layernorm() * w[f"{i}.n2"] @ w[f"{i}.up"].T
        x = x + (0.5 * hidden * (1 + (hidden * 0.5**0.5).erf())) @ w[f"{i}.down"].T
    scores = x.layernorm() * w["nf.g"] @ w["wte"].T
    return scores.flatten(0, 1).sparse_categorical_crossentropy(batch["next"].flatten())


LOSSES: Mapping[str, Callable[[Tensors, Tensors, int], Any]] = {
    "digits": digits,
    "mnist_cnn": cnn,
    "char_gpt": gpt,
    "baby_gpt": gpt,
}
