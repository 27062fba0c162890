"""JAX as a contender: one jitted function a step, or one that scans over all batches.

Takes: the folder of given.py. Promises: the job's training, with weights in the layouts of `plain` (kernels of images
as y, x, input, output, which XLA likes), state donated from step to step, batches on the device before any step; on
one thread XLA is told so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.given import Given

if len(os.sched_getaffinity(0)) == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

from bench.jax_models import loss_of

Tree = Mapping[str, Any]


def opened(folder: Path, threads: int, variant: str) -> Theirs:
    return Theirs(Given.read(folder), scans=variant == "scan")


class Theirs:
    """`scans`: a run is one call that goes through all its steps."""

    def __init__(self, given: Given, *, scans: bool) -> None:
        self._given, self._scans = given, scans
        self._weights = {name: laid_out(name, value) for name, value in given.plain.items()}
        self._statistics = dict(given.statistics)
        fields = {name: widened(name, [batch[name] for batch in given.batches]) for name in given.batches[0]}
        self._batches = {name: jnp.asarray(values) for name, values in fields.items()}
        self._each = [{n: v[i] for n, v in self._batches.items()} for i in range(len(given.batches))]
        self._rates = jnp.asarray(np.array([given.rate(i) for i in range(len(given.about["rates"]))], np.float32))
        step = partial(one_step, loss_of(given.about["name"], given.weights), given.about)
        self._step = jax.jit(step, donate_argnums=(0,))
        self._scan = jax.jit(partial(many_steps, step), donate_argnums=(0,))
        self.reset()

    def reset(self) -> None:
        weights = {name: jnp.array(value) for name, value in self._weights.items()}
        kept = {n: (jnp.zeros_like(w), jnp.zeros_like(w)) for n, w in weights.items()}
        statistics = {name: jnp.array(value) for name, value in self._statistics.items()}
        self._state = jax.block_until_ready((weights, kept, statistics))

    def run(self, steps: int) -> None:
        self._losses(steps)

    def losses(self, steps: int) -> NDArray[np.float64]:
        self.reset()
        return np.concatenate([np.atleast_1d(np.asarray(loss)) for loss in self._losses(steps)]).astype(np.float64)

    def _losses(self, steps: int) -> list[Any]:
        """Of the steps 0, 1, …, once they are done."""
        count, found = len(self._each), []
        if self._scans:
            for first in range(0, steps, count):
                size = min(count, steps - first)
                numbers = jnp.arange(first, first + size)
                batches = {name: values[:size] for name, values in self._batches.items()}
                self._state, losses = self._scan(self._state, batches, self._rates[numbers], numbers)
                found.append(losses)
        else:
            for i in range(steps):
                rate = self._rates[min(i, len(self._rates) - 1)]
                self._state, loss = self._step(self._state, self._each[i % count], rate, i)
                found.append(loss)
        jax.block_until_ready((self._state, found))
        return found


def laid_out(name: str, value: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(value.transpose(2, 3, 1, 0)) if value.ndim == 4 else value


def widened(name: str, values: list[NDArray[Any]]) -> NDArray[Any]:
    """What is an index is an i32 before any step."""
    found = np.stack(values)
    return found if name in ("x", "img") else found.astype(np.int32)


def many_steps(step: Callable[..., Any], state: Any, batches: Tree, rates: Any, numbers: Any) -> Any:
    def one(state: Any, given: Any) -> Any:
        return step(state, *given)

    return jax.lax.scan(one, state, (batches, rates, numbers))


def one_step(loss: Callable[..., Any], about: Tree, state: Any, batch: Tree, rate: Any, number: Any) -> Any:
    """Step `number`: the state after it and the loss before."""
    weights, kept, statistics = state
    graded = jax.value_and_grad(loss, has_aux=True)
    (value, statistics), gradients = graded(weights, statistics, batch)
    if about["clip"]:
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradients.values()))
        scale = jnp.minimum(1.0, about["clip"] / norm)
        gradients = {name: g * scale for name, g in gradients.items()}
    update = momentum if about["optimizer"] == "SGD" else adam
    new = {n: update(w, gradients[n], *kept[n], about, rate, number) for n, w in weights.items()}
    after = {n: w for n, (w, _, _) in new.items()}, {n: (m, v) for n, (_, m, v) in new.items()}
    return (*after, statistics), value


def momentum(w: Any, g: Any, m: Any, v: Any, about: Tree, rate: Any, number: Any) -> Any:
    m = about["betas"][0] * m + (g + about["decay"] * w)
    return w - rate * m, m, v


def adam(w: Any, g: Any, m: Any, v: Any, about: Tree, rate: Any, number: Any) -> Any:
    """Decay of tensors with two axes or more, before the step, as AdamW has it."""
    first, second = about["betas"]
    m, v = first * m + (1 - first) * g, second * v + (1 - second) * g * g
    t = number + 1
    step = m / (1 - first**t) / (jnp.sqrt(v / (1 - second**t)) + 1e-8)
    decay = about["decay"] if w.ndim >= 2 else 0.0
    return w * (1 - rate * decay) - rate * step, m, v
