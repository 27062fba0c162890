"""A session knows before it begins whether its device can hold a run, and whether it is the plan's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import jobspec
from bench.workloads import SPECS
from jobspec.ir.errors import JobspecError
from tests.opencl.programs import opencl

pytestmark = pytest.mark.opencl


@pytest.mark.parametrize("room", [(1000, 1000), (1 << 40, 1000)], ids=["all of it", "one piece"])
def test_a_device_that_is_too_small(room: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobspec.backends.opencl.session.room_of", lambda device: room)
    monkeypatch.setattr("jobspec.backends.opencl.session.build", None)
    job = jobspec.load(SPECS / "digits.job", home=tmp_path)
    with pytest.raises(JobspecError) as caught:
        jobspec.run(job, on="opencl", home=tmp_path)
    assert caught.value.code == "E0511" and f"{room[0]:,}" in caught.value.reason


def test_a_plan_for_another_device_is_refused(tmp_path: Path) -> None:
    program = jobspec.compile(SPECS / "digits.job", "opencl", home=tmp_path)
    plan = replace(program.compiled.plan, target=replace(opencl().target, cpu="another device"))
    with pytest.raises(JobspecError) as caught:
        opencl().open(plan, program.compiled.job, 1, tmp_path)
    assert caught.value.code == "E0510" and "another device" in caught.value.reason


def test_the_same_job_has_the_same_hash_and_another_plan(tmp_path: Path) -> None:
    llvm, device = (jobspec.compile(SPECS / "digits.job", on, home=tmp_path) for on in ("llvm", "opencl"))
    assert llvm.job_hash == device.job_hash and llvm.plan_hash != device.plan_hash


def test_what_is_copied_into_strips_is_counted(tmp_path: Path) -> None:
    program = jobspec.compile(SPECS / "digits.job", "opencl", home=tmp_path)
    plan = program.compiled.plan
    assert max(opencl().scratch(routine, plan.target, 1) for routine in plan.routines) > 0
