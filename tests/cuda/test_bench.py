"""The bench of a GPU runs, on the stand-in: what it prints is a time of steps that were done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import gpu
from jobspec.backends.c import stepper
from jobspec.backends.cuda import session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.registry import Backend
from jobspec.ir.plan import Plan
from tests.cuda.stand_in import StandIn

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("name", ["nn 64x32x48", "fast nn 64x32x48"])
def test_a_contraction_is_timed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the schedules that are fastest: there is more than one device opened, and each is closed."""
    monkeypatch.setattr(gpu, "CANDIDATES", 2)
    drivers: list[StandIn] = []

    def opened(plan: Plan, *given: object) -> session.CudaSession:
        drivers.append(StandIn(watched=False))
        return session.opened(plan, lambda: drivers[-1], tmp_path)

    cuda = Backend(
        "cuda", target_of(90), (), opened, stepper=lambda plan, routine, row: stepper.begun(opened(plan), routine, row)
    )
    found = gpu.contraction(name, gpu.How(cuda, 1, 0.01, beside=False, tune=True), tmp_path)
    (line,) = found.lines()
    assert found.flops == 2 * 64 * 32 * 48 and "jobspec" in line and "TFLOP/s" in line
    assert found.timings[gpu.OURS].median > 0 and len(drivers) == 2 and all(driver.closed for driver in drivers)
