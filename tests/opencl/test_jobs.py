"""Whole runs on OpenCL: the same state root, metrics and receipt as on llvm."""

from __future__ import annotations

from pathlib import Path

import pytest

import jobspec
from bench.workloads import SPECS
from jobspec.ir.errors import JobspecError

pytestmark = pytest.mark.opencl


def trained(tmp_path: Path, on: str, **values: object) -> jobspec.Run:
    job = jobspec.load(SPECS / "digits.job", home=tmp_path / on, **values)
    return jobspec.run(job, on=on, home=tmp_path / on)


@pytest.mark.pocl
def test_digits_trains_to_the_same_receipt(tmp_path: Path) -> None:
    a, b = (trained(tmp_path, on, **{"train.steps": 40}) for on in ("llvm", "opencl"))
    assert Path(a.receipt).read_bytes() == Path(b.receipt).read_bytes()
    assert a.metrics["step.loss"].tobytes() == b.metrics["step.loss"].tobytes()


@pytest.mark.pocl
def test_a_run_goes_on_where_another_backend_stopped(tmp_path: Path) -> None:
    job = jobspec.load(SPECS / "digits.job", home=tmp_path, **{"train.steps": 40})
    jobspec.run(job, on="llvm", until=13, home=tmp_path)
    mixed = jobspec.run(job, on="opencl", home=tmp_path)
    whole = trained(tmp_path / "other", "llvm", **{"train.steps": 40})
    assert Path(mixed.receipt).read_bytes() == Path(whole.receipt).read_bytes()
    assert jobspec.verify(mixed.receipt, on="opencl", home=tmp_path).accepted


def test_an_index_outside_stops_the_run_alike(tmp_path: Path) -> None:
    """Flags come back from the device."""
    reasons = []
    for on in ("llvm", "opencl"):
        with pytest.raises(JobspecError) as caught:
            trained(tmp_path, on, **{"train.steps": 40, "Y": 4, "G": 8})
        reasons.append((caught.value.code, caught.value.reason))
    assert reasons[0] == reasons[1]
