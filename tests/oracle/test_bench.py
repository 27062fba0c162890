"""The benchmark's PyTorch side, and whole comparisons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.store.home import Home
from tests.oracle.test_specs import ran
from tests.spec_jobs import NAMES, SMALL, on_made_up

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from bench.compare import FREE, FUSED, JIT, OURS, SCAN, Comparison, Effort, compare
from bench.data import SOURCES
from bench.torch_models import model_of
from bench.torch_trainer import EAGER, Trainer
from bench.workloads import JOBS, Workload, of_kind, of_spec
from jobspec.backends.registry import backend
from jobspec.loading import read_spec

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", [EAGER, FUSED])
def test_reset_goes_back_to_the_start(name: str, variant: str, home: Home, tmp_path: Path) -> None:
    """Optimizer, statistics and weights: after a reset the same losses come again, bit for bit."""
    torch.set_num_threads(1)
    work = on_made_up(name, home, SMALL[name])
    ours = ran(work, 3, tmp_path)
    weights, statistics = of_kind(ours.before, work.job, "parameter"), of_kind(ours.before, work.job, "layer")
    trainer = Trainer(model_of(name, weights), weights, statistics, work.job.steps, variant)
    first = trainer.losses(ours.batches)
    after = trainer.losses(ours.batches)
    trainer.reset()
    assert trainer.losses(ours.batches) == first != after
    assert first == pytest.approx(ours.losses, abs=1e-3)


#: workloads that are no spec as it stands, made small; the data they come with
SMALLER = {
    "gpt2": ("shipped", "L=2 D=32 H=2 V=128 T=16 B=2"),
    "resnet18": ("images", "B=4 C1=4 C2=6 C3=8 C4=10"),
    "lstm": ("shipped", "H=24 D=8 B=4 T=12"),
}
SHIPPED = "b3:747c90442f7389f48bcc149c1790dd432849c2c134854c5c2713165499dee917"


def smaller(name: str, home: Home) -> Workload:
    data, sets = SMALLER[name]
    values = dict(word.split("=") for word in sets.split())
    values |= SOURCES[data](home) if data == "images" else {"data.train": SHIPPED, "data.val": SHIPPED}
    return of_spec(name, read_spec(JOBS[name].file, JOBS[name].sets | values, home), home)


@pytest.mark.parametrize("name", SMALLER)
def test_models_train_alike(name: str, home: Home, tmp_path: Path) -> None:
    """PyTorch's models of the workloads that the other tests do not know, in float64: its float32 loses the third digit
    of the tiny ResNet within five steps."""
    torch.set_num_threads(1)
    work = smaller(name, home)
    ours = ran(work, 5, tmp_path)
    weights, statistics = of_kind(ours.before, work.job, "parameter"), of_kind(ours.before, work.job, "layer")
    trainer = Trainer(model_of(name, weights), weights, statistics, work.job.steps, FUSED, dtype=torch.float64)
    assert np.abs(ours.losses - np.array(trainer.losses(ours.batches))).max() <= 1e-5


def side_by_side(names: tuple[str, ...], home: Home, folder: Path) -> Comparison:
    """The smallest workload, as `python -m bench` does it, one short window."""
    work = on_made_up("digits", home, SMALL["digits"])
    return compare(work, backend("llvm"), [1], Effort(1, 0.01, names, names, 3), folder)


def test_contenders_train_alike_in_processes_of_their_own(home: Home, tmp_path: Path) -> None:
    found = side_by_side((OURS, FREE, FUSED), home, tmp_path)
    assert not found.failed and not any(row.void for row in found.rows)
    assert [row.contender for row in found.rows] == [OURS, FREE, FUSED]
    assert found.ratio(1) and found.price(1) and len(found.pairs[1]) == 3
    assert found.memory[OURS] > found.planned


@pytest.mark.slow
def test_jax_trains_alike(home: Home, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="pip install '.[bench]'")
    found = side_by_side((OURS, JIT, SCAN, "no such contender"), home, tmp_path)
    assert [row.contender for row in found.rows if not row.void] == [OURS, JIT, SCAN]
    assert "no such contender" in found.failed["no such contender"]
