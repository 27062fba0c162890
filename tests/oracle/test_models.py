"""Every small spec (specs/tiny.toml) that has a PyTorch model in tests/oracle/models: the losses of 30 steps and every
gradient of the first, from our initial weights, on our batches and draws.

PyTorch computes in float64. A loss may differ by 1e-4 of itself: rounding of the first steps grows with every step,
most where Adam divides by gradients that are nearly nothing. A gradient may differ by 5e-6 of its tensor's largest
element, some dozen roundings of float32. A model that needs more says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.workloads import Workload, of_spec
from jobspec.store.home import Home
from tests.oracle import ours
from tests.specs.tiny import entries

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from tests.oracle import recipe  # noqa: E402

pytestmark = pytest.mark.oracle

NAMES = sorted(p.stem for p in (Path(__file__).parent / "models").glob("*.py") if p.stem != "__init__")
STEPS = 30


@dataclass(frozen=True)
class Both:
    """A small spec, and its model."""

    work: Workload
    model: recipe.Model
    cache: Path

    def batches(self, run: ours.Ran) -> Iterator[dict[str, Any]]:
        for step, fields in enumerate(run.batches):
            drawn = ours.draws(self.work.job, step, self.model.draws or {})
            yield recipe.tensors(fields | drawn)

    def kept(self, run: ours.Ran) -> recipe.Kept:
        return recipe.tensors(ours.kept_by_layers(self.work, run.before))


@pytest.fixture
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    torch.set_num_threads(1)
    model = import_module(f"tests.oracle.models.{request.param}").MODEL
    tiny = entries()[request.param]
    spec = replace(tiny, values={**tiny.values, **model.values}).spec(tmp_path)
    return Both(of_spec(request.param, spec, Home(tmp_path)), model, tmp_path)


#: compiling one takes half a minute on a busy machine
LONG = ("resnet50_imagenet",)
CASES = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in NAMES]


@pytest.mark.parametrize("both", CASES, indirect=True)
def test_model(both: Both) -> None:
    steps = min(STEPS, both.work.job.phases[0].steps)
    run = ours.ran(both.work, steps, both.cache)
    gradients_agree(both, run)
    weights = ours.weights(both.work, run.before)
    theirs = recipe.losses(both.model, weights, both.kept(run), list(both.batches(run)), both.work.job.steps)
    assert run.losses == pytest.approx(theirs, rel=both.model.tolerance)


def gradients_agree(both: Both, run: ours.Ran) -> None:
    batch = next(both.batches(run))
    expected = recipe.gradients(both.model, ours.weights(both.work, run.before), both.kept(run), batch)
    assert run.gradients.keys() == expected.keys()
    biggest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, gradient in expected.items():
        scale = biggest if both.model.vanishes(name) else np.abs(gradient).max()
        assert np.abs(run.gradients[name] - gradient).max() <= both.model.gradient * scale, name
