"""The benchmark's PyTorch side, and its rule for void rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.store.home import Home
from tests.oracle.test_specs import ran
from tests.spec_jobs import NAMES, SMALL, on_made_up

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from bench.compare import OURS, Comparison, Row  # noqa: E402
from bench.timing import Timing  # noqa: E402
from bench.torch_models import model_of  # noqa: E402
from bench.torch_trainer import EAGER, FUSED, Trainer  # noqa: E402
from bench.workloads import of_kind  # noqa: E402

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


@pytest.mark.parametrize(("difference", "void"), [(0.0, False), (1e-3, False), (1.1e-3, True), (float("nan"), True)])
def test_another_training_is_void(difference: float, void: bool) -> None:
    """It is no peer: the ratio is against the others."""
    rows = (
        Row(OURS, 1, Timing((2.0,)), 0.0),
        Row("fast", 1, Timing((1.0,)), difference),
        Row("slow", 1, Timing((6.0,)), 0.0),
        Row("elsewhere", 2, Timing((0.1,)), 0.0),
    )
    assert rows[1].void == void
    assert Comparison("x", 1, rows).ratio(1) == (3.0 if void else 0.5)
