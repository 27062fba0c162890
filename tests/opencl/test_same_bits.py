"""Whole training steps on OpenCL under the schedules of processors and of GPUs: llvm's state and reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.backends.llvm.machine import host
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.opencl.programs import opencl
from tests.spec_jobs import NAMES, SMALL, made_up, on_made_up
from tests.specs.test_same_bits import natively, trained

pytestmark = pytest.mark.opencl
STEPS = 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return made_up(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("shape", [pytest.param("cpu", marks=[pytest.mark.slow, pytest.mark.pocl]), "gpu"])
@pytest.mark.parametrize("name", NAMES)
def test_small(home: Home, name: str, shape: str) -> None:
    work, target = on_made_up(name, home, SMALL[name]), opencl().target
    plan = compile_job(work.job, target if shape == "cpu" else replace(target, features="gpu", lanes=1), checked=True)
    session = opencl().open(replace(plan, target=target), work.job, 1, Path())
    try:
        assert trained(session, work, plan, STEPS) == natively(work, STEPS, host(), 2, 1)
    finally:
        session.close()
