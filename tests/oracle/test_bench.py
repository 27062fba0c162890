"""The benchmark's PyTorch side, and its rule for void rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.store.home import Home
from tests.oracle.test_specs import ran
from tests.spec_jobs import NAMES, SMALL, on_made_up

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from bench.compare import FREE, FUSED, JIT, OURS, SCAN, Comparison, Effort, Row, compare  # noqa: E402
from bench.timing import Timing  # noqa: E402
from bench.torch_models import model_of  # noqa: E402
from bench.torch_trainer import EAGER, Trainer  # noqa: E402
from bench.workloads import of_kind  # noqa: E402
from jobspec.backends.registry import backend  # noqa: E402

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


def side_by_side(names: tuple[str, ...], home: Home, folder: Path) -> Comparison:
    """The smallest workload, as `python -m bench` does it, one short window."""
    work = on_made_up("digits", home, SMALL["digits"])
    return compare(work, backend("llvm"), [1], Effort(1, 0.01, names, names), folder)


def test_contenders_train_alike_in_processes_of_their_own(home: Home, tmp_path: Path) -> None:
    found = side_by_side((OURS, FREE, FUSED), home, tmp_path)
    assert not found.failed and not any(row.void for row in found.rows)
    assert [row.contender for row in found.rows] == [OURS, FREE, FUSED]
    assert found.ratio(1) and found.price(1) is not None and found.memory[OURS] > found.planned


@pytest.mark.slow
def test_jax_trains_alike(home: Home, tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="pip install '.[bench]'")
    found = side_by_side((OURS, JIT, SCAN, "no such contender"), home, tmp_path)
    assert [row.contender for row in found.rows if not row.void] == [OURS, JIT, SCAN]
    assert "no such contender" in found.failed["no such contender"]
