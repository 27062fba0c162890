"""Plans as bytes, and the plan hash: every decision is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobspec.ir.canonical import decode, encode
from jobspec.ir.codec.job import job_hash
from jobspec.ir.codec.plan import LIMITS, PlanFormatError, decode_plan, encode_plan, plan_hash, plan_parts
from jobspec.ir.plan import Barrier, Call, Plan, Routine, Schedule, Turns
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_job
from tests.runtime.jobs import counting, regression

ROOT = "b3:" + "ab" * 32
LINE = regression(ROOT)
TARGET = Target("llvm", "x86-64-v3", "", 8)
PLAN = compile_job(LINE, TARGET)
COMPILERS = (("jobspec-llvm", "1"), ("llvm", "22.1"))


def routine(number: int, **changes: Any) -> Plan:
    routines = list(PLAN.routines)
    routines[number] = replace(routines[number], **changes)
    return replace(PLAN, routines=tuple(routines))


STEP: Routine = PLAN.routines[1]

CHANGES: dict[str, Plan] = {
    "job": replace(PLAN, job="b3:" + "00" * 32),
    "profile": replace(PLAN, profile="jobspec.f32.v2"),
    "target": replace(PLAN, target=replace(TARGET, l2=1 << 20)),
    "step: kernels": routine(1, kernels=(replace(STEP.kernels[0], name="other"), *STEP.kernels[1:])),
    "step: schedules": routine(1, schedules=(Schedule((("tile", 3),)), *STEP.schedules[1:])),
    "step: order": routine(1, steps=(*STEP.steps, Turns(2, True, (Call(0), Barrier())))),
    "step: memory": routine(1, buffers=(replace(STEP.buffers[0], offset=64), *STEP.buffers[1:])),
    "init: memory": routine(0, arena=PLAN.routines[0].arena + 64),
    "held: order": routine(2, steps=(Turns(1, False, PLAN.routines[2].steps),)),
    "held: memory": routine(2, flags=("index 0",)),
}


@pytest.mark.parametrize("job", [LINE, counting(ROOT)], ids=lambda job: job.name)
@pytest.mark.parametrize("target", [TARGET, Target("reference")], ids=lambda t: t.backend)
def test_plans_read_back(job: Any, target: Target) -> None:
    plan = compile_job(job, target)
    assert plan.job == str(job_hash(job))
    assert (len(plan.routine("step").kernels) > 0) == (target.backend == "llvm")
    again = decode_plan(encode_plan(plan))
    assert again == plan
    assert plan_hash(again, COMPILERS) == plan_hash(plan, COMPILERS)


def test_equal_jobs_give_equal_plans() -> None:
    assert encode_plan(compile_job(regression(ROOT), TARGET)) == encode_plan(PLAN)


@pytest.mark.parametrize("part", CHANGES)
def test_every_decision_changes_the_hash_and_its_part(part: str) -> None:
    changed = CHANGES[part]
    assert decode_plan(encode_plan(changed)) == changed
    before, after = dict(plan_parts(PLAN, COMPILERS)), dict(plan_parts(changed, COMPILERS))
    assert [name for name in before if before[name] != after[name]] == [part]
    assert plan_hash(changed, COMPILERS) != plan_hash(PLAN, COMPILERS)


def test_compilers_count() -> None:
    other = (("jobspec-llvm", "1"), ("llvm", "22.2"))
    before, after = dict(plan_parts(PLAN, COMPILERS)), dict(plan_parts(PLAN, other))
    assert [name for name in before if before[name] != after[name]] == ["compilers"]


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = decode(encode_plan(PLAN), LIMITS)
    assert isinstance(value, dict)
    change(value)
    return encode(value)


def step(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["routines"][1]
    return found


MALFORMED: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key `more`": lambda v: v.update(more=1),
    "`format` is not an integer": lambda v: v.update(format=2),
    "does not begin with `init` and a step": lambda v: v["routines"].reverse(),
    "the routine `init` comes twice": lambda v: v["routines"].append(v["routines"][0]),
    "not one schedule per kernel": lambda v: step(v)["schedules"].pop(),
    "names a buffer that is not there": lambda v: step(v)["slots"][0].__setitem__(1, 10_000),
    "unknown space `heap`": lambda v: step(v)["buffers"][0].update(space="heap"),
    "unknown kind `magic`": lambda v: step(v)["kernels"][0].update(kind="magic"),
    "unknown role": lambda v: step(v)["kernels"][0]["axes"][0].__setitem__(1, "sideways"),
    "reads a later one": lambda v: step(v)["kernels"][0]["body"][-1].__setitem__(1, [10_000]),
    "is not an integer from 0 to": lambda v: step(v)["steps"].append(10_000),
    "is not an integer from 1 to": lambda v: step(v)["steps"].append([0, False, []]),
    "is not an array of 3": lambda v: step(v)["steps"].append([1]),
    "`flag_buffer` is not an integer": lambda v: step(v).update(flag_buffer=-2),
}


@pytest.mark.parametrize("reason", MALFORMED)
def test_plans_that_are_none_are_refused(reason: str) -> None:
    with pytest.raises(PlanFormatError, match=reason):
        decode_plan(altered(MALFORMED[reason]))


def test_changed_bytes_are_refused_or_another_plan() -> None:
    data = encode_plan(PLAN)
    for place in range(0, len(data), 11):
        changed = bytearray(data)
        changed[place] ^= 4
        try:
            assert decode_plan(bytes(changed)) != PLAN
        except PlanFormatError:
            continue


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_cut_bytes_are_refused(cut: int) -> None:
    with pytest.raises(PlanFormatError):
        decode_plan(encode_plan(PLAN)[:cut])
