"""Every small spec (specs/tiny.toml) that has a PyTorch model in tests/oracle/models: the losses of 30 steps, and every
gradient of the first and the last, from our weights before that step, on our batches and draws.

In float64 PyTorch is what we are held to. In float32 it shows what rounding does to this model, so that no number has
to be written down for one: from our weights, and from sets of their neighbours in float32, chosen at random, as one
computation may be lucky. We may be away from float64 by TIMES the farthest of them, plus FLOOR of the largest element;
another is computed only where those before do not account for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.workloads import Workload, of_spec
from jobspec.backends.reference.evaluate import evaluate
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.store.home import Home
from tests.oracle import ours
from tests.specs.tiny import SPECS, entries

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from tests.oracle import recipe

pytestmark = pytest.mark.oracle

Array = NDArray[Any]
NAMES = sorted(p.stem for p in (Path(__file__).parent / "models").glob("*.py") if p.stem != "__init__")
STEPS = 30
#: the largest that any gradient needs is 1.0 (a key bias of dit_xl2, whose gradient is 0 but for rounding)
TIMES = 3.0
#: sixteen roundings
FLOOR = 2.0**-20


@dataclass(frozen=True)
class Way:
    """A way to compute. `seed`: of the weights' neighbours, where it does not start from the weights themselves."""

    dtype: Any
    seed: int | None = None

    def moved(self, weights: Mapping[str, Array]) -> Mapping[str, Array]:
        if self.seed is None:
            return weights
        random = np.random.default_rng(self.seed)
        return {name: neighbours(random, w) for name, w in weights.items()}


def neighbours(random: np.random.Generator, w: Array) -> Array:
    """Each element's next float32 above or below."""
    return np.nextafter(w, random.choice(np.array([-np.inf, np.inf], np.float32), w.shape))


EXACT = Way(torch.float64)
SINGLE = [Way(torch.float32, seed) for seed in (None, 1, 2, 3, 4)]


@dataclass(frozen=True)
class Both:
    """A small spec, and its model. `base`: the spec whose weights it begins with."""

    work: Workload
    model: recipe.Model
    base: str | None

    def ran(self, cache: Path) -> ours.Ran:
        return ours.ran(self.work, min(STEPS, self.work.job.phases[0].steps), cache, self.given())

    def given(self) -> dict[str, Array]:
        """The base's first weights: none of its training is needed here."""
        if self.work.job.start is None or self.base is None:
            return {}
        first = evaluate(load(Source.read(SPECS / f"{self.base}.job")).init, {})
        return {slot: first[source] for slot, source in self.work.job.start.tensors}

    def gradients(self, run: ours.Ran, at: ours.Moment, way: Way) -> dict[str, Array]:
        """PyTorch's, where our weights stand."""
        with recipe.computed_in(way.dtype):
            weights, batch = way.moved(ours.weights(self.work, at.state)), self.batch(run, at.step)
            return recipe.gradients(self.model, weights, self.kept(at), batch)

    def losses(self, run: ours.Ran, way: Way) -> Array:
        """PyTorch's, from our first weights."""
        with recipe.computed_in(way.dtype):
            batches = [self.batch(run, step) for step in range(len(run.batches))]
            weights, steps = way.moved(ours.weights(self.work, run.first.state)), self.work.job.steps
            return np.array(recipe.losses(self.model, weights, self.kept(run.first), batches, steps))

    def batch(self, run: ours.Ran, step: int) -> recipe.Batch:
        return recipe.tensors(run.batches[step] | ours.draws(self.work.job, step, self.model.draws or {}))

    def kept(self, at: ours.Moment) -> recipe.Kept:
        return recipe.tensors(ours.kept_by_layers(self.work, at.state))


def opened(name: str, folder: Path, values: Mapping[str, str]) -> Both:
    torch.set_num_threads(1)
    model = import_module(f"tests.oracle.models.{name}").MODEL
    tiny = entries()[name]
    spec = replace(tiny, values={**tiny.values, **model.values, **values}).spec(folder)
    return Both(of_spec(name, spec, Home(folder)), model, tiny.base)


@pytest.mark.parametrize("name", NAMES)
def test_model(name: str, tmp_path: Path) -> None:
    both = opened(name, tmp_path, {})
    run = both.ran(tmp_path)
    gradients_agree(both, run, run.first)
    gradients_agree(both, run, run.last)
    losses_agree(both, run)


def test_every_small_spec_has_a_model() -> None:
    assert set(NAMES) == set(entries())


def gradients_agree(both: Both, run: ours.Ran, at: ours.Moment) -> None:
    exact = both.gradients(run, at, EXACT)
    assert at.gradients.keys() == exact.keys()
    errors, theirs = farthest(at.gradients, exact), dict.fromkeys(exact, 0.0)
    sizes, ways = {name: np.abs(gradient).max() for name, gradient in exact.items()}, iter(SINGLE)
    while far := [n for n, error in errors.items() if not error <= TIMES * theirs[n] + FLOOR * sizes[n]]:
        way = next(ways, None)
        assert way is not None, f"{', '.join(far)} in step {at.step}"
        found = farthest(both.gradients(run, at, way), exact)
        theirs = {name: max(theirs[name], found[name]) for name in exact}


def farthest(found: Mapping[str, Array], exact: Mapping[str, Array]) -> dict[str, float]:
    """By tensor."""
    return {name: float(np.abs(found[name] - gradient).max()) for name, gradient in exact.items()}


def losses_agree(both: Both, run: ours.Ran) -> None:
    """What rounding has done to one step, later steps have too."""
    exact, ways = both.losses(run, EXACT), iter(SINGLE)
    error, theirs = np.abs(run.losses - exact), np.zeros_like(exact)
    while not (error < TIMES * np.maximum.accumulate(theirs) + FLOOR * np.abs(exact)).all():
        way = next(ways, None)
        assert way is not None, f"{error} away, PyTorch in float32 {theirs}"
        theirs = np.maximum(theirs, np.abs(both.losses(run, way) - exact))
