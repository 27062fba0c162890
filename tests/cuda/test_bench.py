"""The bench of a GPU runs, on the stand-in: what it prints is a time of steps that were done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import gpu
from jobspec.backends.cuda import session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.registry import Backend
from tests.cuda.stand_in import StandIn

pytestmark = pytest.mark.cuda


def test_a_contraction_is_timed(tmp_path: Path) -> None:
    driver = StandIn(watched=False)
    cuda = Backend(
        "cuda", target_of(90), (), lambda plan, job, threads, cache: session.opened(plan, lambda: driver, cache)
    )
    found = gpu.contraction("nn 64x32x48", cuda, tmp_path, windows=1, seconds=0.01, beside=False)
    (line,) = found.lines()
    assert found.flops == 2 * 64 * 32 * 48 and "jobspec" in line and "TFLOP/s" in line
    assert found.timings[gpu.OURS].median > 0 and driver.closed
