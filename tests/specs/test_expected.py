"""Each spec reaches what stands beside it: the same job, the same final state to the bit, the same metrics.

The expectation comes from `jobspec run specs/NAME.job --json`; it holds on any CPU and with any number of threads.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jobspec
from tests.spec_jobs import real

SPECS = Path(__file__).parents[2] / "specs"
#: what each spec promises of its metrics, whatever else changes
BOUNDS = {"digits": ("acc", 0.97, 1.0), "mnist_cnn": ("acc", 0.985, 1.0), "char_gpt": ("loss", 0.0, 1.90)}


def reaches(name: str, home: Path, threads: int) -> None:
    expected = json.loads((SPECS / f"{name}.expected.json").read_text())
    run = jobspec.run(SPECS / f"{name}.job", threads=threads, home=home)
    assert {"job": run.job, "state": run.state, "steps": run.steps, "metrics": run.final} == expected
    metric, low, high = BOUNDS[name]
    assert low <= run.final[metric] <= high


@pytest.mark.parametrize("threads", [1, 2])
def test_digits(tmp_path: Path, threads: int) -> None:
    reaches("digits", tmp_path, threads)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_cnn", "char_gpt"])
def test_on_real_data(name: str, tmp_path: Path, shared_data: Path) -> None:
    reaches(name, real(tmp_path, shared_data).folder, 2)
