"""Each optimizer of the library over 100 steps, against torch.optim in float64 or, where PyTorch's own rounds to
bfloat16 inside, against the equations it states.

The objective is linear in the parameters, so gradients are data: both sides see the same ones, and no difference feeds
itself. What is left is float32 rounding, which `allowed` bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from jobspec.lang.check import load
from jobspec.lang.modules import STD
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from torch.optim import swa_utils

from tests.oracle.optimizers import Equations, lion, muon

pytestmark = pytest.mark.oracle

Array = NDArray[Any]
STEPS, LR, EPS = 100, 0.02, 2.0**-24
#: a map to fewer places, one to more, one from an axis to itself, a vector; a map and a vector stacked by a `repeat`
JOB = """job optimizers
import std.optim
dim B=1, I=6, M=3, N=2, O=4, L=2
data d = table(b3:00000000, w=f32[I M], wide=f32[M N O], x=f32[I M], y=f32[I M], b=f32[I], s=f32[L I O], v=f32[L I])
layer net(g) {
  param w: I -> M ~ normal(1), wide: M -> N O ~ normal(1), c: M -> M ~ normal(1), b: I ~ normal(1)
  y = sum[I M](w*g.w) + sum[M N O](wide*g.wide) + sum[I M]((g.x @ c)*g.y) + sum[I](b*g.b)
  gs = g.s; gv = g.v
  repeat L {
    param s: I -> O ~ normal(1), v: I ~ normal(1)
    y = y + sum[I O](s*gs) + sum[I](v*gv)
  }
  y
}
train { seed = 5; steps = 100; batch = sequence(d)
  loss = mean[B](net(batch))
  UPDATES }
"""
FIELDS = {"w": (6, 3), "wide": (3, 2, 4), "x": (6, 3), "y": (6, 3), "b": (6,), "s": (2, 6, 4), "v": (2, 6)}
#: left axes of each map, as matrices of PyTorch's orientation (out, in) need them
MAPS = {"w": (6, 3), "wide": (3, 8), "c": (3, 3), "s": (6, 4)}


def data(step: int) -> dict[str, Array]:
    """One example: gradients of the size of 1, now and then ten times as large."""
    random = np.random.default_rng(step)
    scale = 10.0 if step % 17 == 5 else 1.0
    return {name: (scale * random.standard_normal((1, *shape))).astype("f4") for name, shape in FIELDS.items()}


def ours(job: Job) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters before and after all steps, by the reference."""
    step, first = differentiate(job.phases[0].step), evaluate(job.init, {})
    state = first
    for number in range(STEPS):
        feeds = {f"batch.{name}": array for name, array in data(number).items()}
        found = evaluate(step, {**state, **feeds, "step": np.array(number, np.int32)})
        state = {name: found[name] for name in state}
    return first, state


def parts(name: str, array: Array) -> Iterable[Array]:
    """A parameter as PyTorch would hold it: a matrix (out, in) for each layer, or a vector."""
    layers = array if name in ("s", "v") else array[None]
    return [layer.reshape(MAPS[name]).T if name in MAPS else layer for layer in layers]


def gradient(name: str, example: dict[str, Array]) -> Array:
    if name == "c":
        return np.asarray(example["x"][0].astype("f8").T @ example["y"][0].astype("f8"))
    return example[name][0].astype("f8")


def theirs(first: dict[str, Array], names: Iterable[str], make: Callable[[list[Any]], Any]) -> dict[str, Array]:
    """The same parameters after the same steps in float64, in the form of `parts`."""
    held = {n: [torch.nn.Parameter(torch.tensor(p.astype("f8"))) for p in parts(n, first[n])] for n in names}
    optimizer = make([p for ps in held.values() for p in ps])
    for number in range(STEPS):
        example = data(number)
        for name, ps in held.items():
            for p, g in zip(ps, parts(name, gradient(name, example)), strict=True):
                p.grad = torch.tensor(np.ascontiguousarray(g))
        optimizer.step()
    return {name: np.stack([p.detach().numpy() for p in ps]) for name, ps in held.items()}


there = torch.optim
ALL, MATRICES, VECTORS = ("w", "wide", "c", "b", "s", "v"), ("w", "wide", "c", "s"), ("b", "v")
#: our update → the parameters it moves, and who says where to
CASES: dict[str, tuple[tuple[str, ...], Callable[[list[Any]], Any]]] = {
    "update all by optim.sgd(.02, wd=.1)": (ALL, lambda p: there.SGD(p, LR, weight_decay=0.1)),
    "update all by optim.momentum(.02, wd=.1)": (ALL, lambda p: there.SGD(p, LR, 0.9, weight_decay=0.1)),
    "update all by optim.nesterov(.02, wd=.1)": (ALL, lambda p: there.SGD(p, LR, 0.9, weight_decay=0.1, nesterov=True)),
    "update all by optim.adam(.02)": (ALL, lambda p: there.Adam(p, LR)),
    "update all by optim.adamw(.02, wd=.1)": (ALL, lambda p: there.AdamW(p, LR, weight_decay=0.1)),
    "update all by optim.adagrad(.02, wd=.1)": (ALL, lambda p: there.Adagrad(p, LR, weight_decay=0.1)),
    "update all by optim.rmsprop(.02, wd=.1)": (ALL, lambda p: there.RMSprop(p, LR, weight_decay=0.1)),
    "update all by optim.rmsprop(.02, mu=.9)": (ALL, lambda p: there.RMSprop(p, LR, momentum=0.9)),
    "update all by optim.lion(.02, wd=.1)": (ALL, lambda p: Equations([{"params": p}], [lion(0.1)], LR)),
    "update matrices by optim.muon(.02, wd=.1); freeze vectors": (
        MATRICES,
        lambda p: Equations([{"params": p}], [muon(0.1)], LR),
    ),
    "update matrices by optim.adafactor(.02, wd=.1); update vectors by optim.adafactor_full(.02, wd=.1)": (
        ALL,
        lambda p: there.Adafactor(p, LR, weight_decay=0.1),
    ),
}
#: rounding errors in one update, in units of 2^-24 of its size; see `allowed`
ROUNDINGS = {"muon": 412 + 2 * 485}


def allowed(update: str, before: Array, moved: float) -> float:
    """What float32 may be away from float64 after all steps. A step's update is a quotient of moments, each a sum that
    rounds twice a step for at most 100 steps, and a dozen more operations: 2*100*2 + 12 roundings at most, each 2^-24
    of the update. Muon's five turns multiply the smallest singular values by up to 3.4445^5 = 485, and with them what
    two roundings put there. p itself rounds twice a step. The largest measured is an eighth of what is allowed."""
    name = update.split("optim.")[1].split("(")[0]
    rounding = ROUNDINGS.get(name, 412)
    largest = float(np.abs(before).max()) + moved
    return EPS * (rounding * moved + 2 * STEPS * largest)


def job(updates: str) -> Job:
    return load(Source("optimizers.job", JOB.replace("UPDATES", updates)))


@pytest.mark.parametrize("update", CASES)
def test_a_hundred_steps(update: str) -> None:
    names, make = CASES[update]
    first, last = ours(job(update))
    expected = theirs(first, names, make)
    for name in names:
        before, after = (np.stack(list(parts(name, state[name]))) for state in (first, last))
        moved = float(np.abs(expected[name] - before).max())
        error = float(np.abs(after - expected[name]).max())
        assert moved > 2 * LR
        assert error <= allowed(update, before, moved), name


def test_muon_is_torchs_but_for_bfloat16() -> None:
    """torch.optim.Muon computes the five steps in bfloat16, 8 bits, and errors of single steps average out: the
    largest difference measured is 0.5 % of the way."""
    first, last = ours(job("update matrices by optim.muon(.02, wd=.1); freeze vectors"))
    expected = theirs(first, MATRICES, lambda p: there.Muon(p, LR, weight_decay=0.1))
    for name in MATRICES:
        after = np.stack(list(parts(name, last[name])))
        before = np.stack(list(parts(name, first[name])))
        assert np.abs(after - expected[name]).max() <= 0.02 * np.abs(expected[name] - before).max()


class Averaging:
    """Momentum, and what torch.optim.swa_utils keeps beside its parameters. `begun`: the first values count."""

    def __init__(self, parameters: list[Any], rule: Any, begun: bool) -> None:
        self.optimizer, self.held = there.SGD(parameters, LR, 0.9), torch.nn.ParameterList(parameters)
        self.model = swa_utils.AveragedModel(self.held, multi_avg_fn=rule)
        if begun:
            self.model.update_parameters(self.held)

    def step(self) -> None:
        self.optimizer.step()
        self.model.update_parameters(self.held)


AVERAGES = {
    "ema(.9)": (swa_utils.get_ema_multi_avg_fn(0.9), True),
    "polyak()": (swa_utils.get_swa_multi_avg_fn(), False),
}


@pytest.mark.parametrize("rule", AVERAGES)
def test_a_hundred_averages(rule: str) -> None:
    """p is as far off as momentum alone may be; the average adds two roundings a step of its own."""
    update = "update all by optim.momentum(.02)"
    made: list[Averaging] = []

    def make(parameters: list[Any]) -> Averaging:
        made.append(Averaging(parameters, *AVERAGES[rule]))
        return made[0]

    first, last = ours(job(f"{update}; average all by optim.{rule}"))
    theirs(first, ALL, make)
    expected = iter(p.detach().numpy() for p in made[0].model.parameters())
    for name in ALL:
        for before, after in zip(parts(name, first[name]), parts(name, last[f"{name}/average"]), strict=True):
            found = next(expected)
            moved = float(np.abs(found - before).max())
            assert moved > 2 * LR
            assert np.abs(after - found).max() <= 2 * allowed(update, before, moved), name


def test_all_of_the_library_is_here() -> None:
    """Every optimizer and average of std.optim."""
    said = " ".join((*CASES, *AVERAGES))
    names = [line.split()[1].split("(")[0] for line in library("optim").splitlines() if line.startswith("optim ")]
    assert len(names) >= 13
    assert [name for name in names if not re.search(rf"\b{name}\(", said)] == []


def library(name: str) -> str:
    return (STD / f"{name}.job").read_text("utf-8")
