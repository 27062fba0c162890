"""`profile` and `tune` on OpenCL: the steps of a session, with every candidate's bits the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.backends.c import stepper
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_job
from tests.cli.conftest import Call, call, home
from tests.cli.test_tune import net
from tests.opencl.programs import opencl
from tests.spec_jobs import NAMES, SMALL, made_up, on_made_up
from tests.stepping import Bytes, as_session, candidates_agree

pytestmark = pytest.mark.opencl
__all__ = ["call", "home", "net"]


@contextmanager
def stepping(name: str, folder: Path, target: Target) -> Iterator[tuple[stepper.DeviceStepper, Bytes]]:
    """The small spec's step behind `init`, scheduled for `target`; a batch."""
    from jobspec.backends.opencl.devices import device_of
    from jobspec.backends.opencl.session import OpenclSession

    work = on_made_up(name, made_up(folder), SMALL[name])
    plan = compile_job(work.job, target)
    row = work.rows(plan, 0, 1)[0]
    begun = stepper.begun(OpenclSession(plan, device_of(opencl().target)), "step", row)
    yield begun, row
    begun.close()


def test_steps_are_those_of_a_session(tmp_path: Path) -> None:
    with stepping("digits", tmp_path, opencl().target) as (begun, row):
        as_session(begun, row)


@pytest.mark.parametrize("shape", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("name", "most"), [("digits", 4), *(pytest.param(name, 40, marks=pytest.mark.slow) for name in NAMES)]
)
def test_candidates_change_no_bit(name: str, most: int, shape: str, tmp_path: Path) -> None:
    own = opencl().target
    target = own if shape == "cpu" else replace(own, features="gpu", lanes=1)
    with stepping(name, tmp_path, target) as (begun, _):
        assert candidates_agree(begun, target, most) > 3


def test_what_is_found_goes_into_plans(call: Call, net: Path, tmp_path: Path) -> None:
    """Kept and written; the tuned plan has another hash, and its run the same state."""
    path = tmp_path / "best.plan"
    found = call("tune", net, "--on", "opencl", "--candidates", "3", "--rounds", "1", "-o", path, "--json").json
    assert found["kernels"] and all(k["tried"] > 1 and k["before"] > 0 for k in found["kernels"])
    plain, best = (call("run", net, "--on", on, "--again", "--json").json for on in ("llvm", "opencl"))
    tuned = call("run", path, "--again", "--json").json
    assert tuned["plan"] == found["plan"]
    assert tuned["state"] == best["state"] == plain["state"]
    assert call("run", net, "--on", "opencl", "--tuned", "--again", "--json").json["plan"] == found["plan"]


def test_kernels_are_timed_by_the_device(call: Call, net: Path) -> None:
    said = call("profile", net, "--on", "opencl", "--steps", "2")
    assert said.code == 0 and "ms a step by the device's clock" in said.out
