"""Plans for devices that no compiler of ours makes: each is rendered or refused in words."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.backends.c.routine import render_routine
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.errors import CompileError
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Plan, Routine, Schedule
from jobspec.passes.pipeline import compile_job
from tests.runtime.jobs import regression
from tests.security.device_plans import ROOT, TARGETS, DevicePlans, retargeted


def test_some(tmp_path: Path) -> None:
    plans = DevicePlans(tmp_path, 1, names=())
    for _ in range(150):
        plans.one()
    assert plans.counts["schedule: refused by E0607"] and plans.counts["schedule: rendered"]


@pytest.mark.slow
def test_three_minutes_of_them(tmp_path: Path) -> None:
    plans = DevicePlans(tmp_path, 2)
    end = time.monotonic() + 180
    while time.monotonic() < end:
        plans.one()
    assert plans.counts["plan: refused by E0607"] and plans.counts["plan: rendered"]


def plan_for(target: int) -> Plan:
    return compile_job(regression(ROOT), TARGETS[target])


def refused(routine: Routine) -> str:
    with pytest.raises(CompileError) as caught:
        render_routine(routine, "cuda")
    assert caught.value.code == "E0607"
    return caught.value.reason


def chained(kernel: Kernel) -> Kernel:
    """With sums that are added to leaf by leaf, as native code has them."""
    body = list(kernel.body)
    at = next(number for number, inst in enumerate(body) if inst.op == "product")
    body[at] = replace(body[at], args=(0,), attrs=(*body[at].attrs, ("chain", 1)))
    return replace(kernel, body=tuple(body))


def test_sums_that_are_added_to_in_order_are_native_code_s() -> None:
    step = plan_for(2).routine("step")
    at = next(number for number, kernel in enumerate(step.kernels) if kernel.kind == "contract")
    kernels = (*step.kernels[:at], chained(step.kernels[at]), *step.kernels[at + 1 :])
    assert "native code alone" in refused(replace(step, kernels=kernels))


@pytest.mark.parametrize("number", [-2, 1 << 40])
def test_a_tile_that_has_no_end(number: int) -> None:
    step = plan_for(2).routine("step")
    schedule = Schedule((("rows", number),))
    assert "cannot execute" in refused(replace(step, schedules=(schedule,) * len(step.schedules)))


@pytest.mark.parametrize("field", ["lanes", "registers"])
def test_a_target_without_lanes_is_none(field: str) -> None:
    """Found by a mutant: its schedules divide by them."""
    with pytest.raises(PlanFormatError, match=field):
        decode_plan(encode_plan(retargeted(plan_for(0), {field: 0})))
