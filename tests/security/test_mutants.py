"""Mutants of valid plan files: each is refused in words, or comes to what the reference comes to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.canonical import decode, encode
from jobspec.ir.check import IllFormed
from jobspec.ir.codec.job import encode_job, job_hash
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.errors import CompileError
from jobspec.ir.kernel import Inst
from jobspec.ir.plan_check import check_plan
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.engine import compile_for, proved
from jobspec.sandbox import files
from tests.cli.kills import Nursery
from tests.runtime.jobs import counting
from tests.security.mutants import Mutants, changed, changed_text, with_other_schedules

pytestmark = pytest.mark.skipif(not files.version(), reason="this kernel has no Landlock")
ROOT = "b3:" + "ab" * 32


@pytest.fixture
def cell() -> Iterator[Nursery]:
    with Nursery("tests.security.cell") as warm:
        yield warm


def test_some(cell: Nursery, tmp_path: Path) -> None:
    mutants = Mutants(tmp_path, cell, 1, gpt=False)
    for _ in range(12):
        mutants.one()


@pytest.mark.slow
def test_ten_minutes_of_them(cell: Nursery, tmp_path: Path) -> None:
    mutants = Mutants(tmp_path, cell, 2)
    end = time.monotonic() + 600
    while time.monotonic() < end:
        mutants.one()
    assert mutants.counts["job: executed, as the reference has it"] > 100
    assert mutants.counts["schedule: executed, as the reference has it"] > 20


def test_the_changes_change() -> None:
    job, chance = counting(ROOT), random.Random(2)
    value = decode(encode_job(job))
    texts = {changed_text(value["steps"][0], chance) for _ in range(100)}  # type: ignore[index, arg-type, call-overload]
    assert len(texts) > 20
    assert len({encode(changed(value, chance)) for _ in range(100)}) > 60


@pytest.mark.parametrize("where", ["role", "dtype"])
def test_a_list_in_place_of_a_word(where: str) -> None:
    """Found by a mutant."""
    plan = compile_for(counting(ROOT), "llvm").plan
    value = decode(encode_plan(plan))
    kernel = value["routines"][1]["kernels"][0]  # type: ignore[index, call-overload]
    if where == "role":
        kernel["axes"][0][1] = []  # type: ignore[index, call-overload]
    else:
        kernel["body"][0][2] = []  # type: ignore[index, call-overload]
    with pytest.raises(PlanFormatError):
        decode_plan(encode(value))


def test_a_profile_that_is_not_known() -> None:
    """Found by a mutant."""
    with pytest.raises(CompileError) as caught:
        compile_for(replace(counting(ROOT), profile="jobspec.f64.v9"), "llvm")
    assert caught.value.code == "E0605"


def test_what_cannot_be_proved_does_not_run() -> None:
    compiled = compile_for(counting(ROOT), "llvm")
    step = compiled.plan.routines[1]
    assert proved(compiled) is compiled
    smaller = replace(step, arena=64)
    with pytest.raises(CompileError) as caught:
        proved(replace(compiled, plan=replace(compiled.plan, routines=(compiled.plan.routines[0], smaller))))
    assert caught.value.code == "E0606"


@pytest.mark.parametrize("attrs", [(("pick", 1),), (("pick", 1), ("bound", "many")), (("pick", ()), ("bound", 3))])
def test_an_index_without_bounds_is_a_fault(attrs: tuple[tuple[str, object], ...]) -> None:
    plan = compile_for(counting(ROOT), "llvm").plan
    kernel = plan.routines[1].kernels[0]
    body = tuple(Inst(i.op, i.args, i.dtype, (*i.attrs, *attrs)) for i in kernel.body)
    step = replace(plan.routines[1], kernels=(replace(kernel, body=body), *plan.routines[1].kernels[1:]))
    with pytest.raises(IllFormed, match="how far its index reaches"):
        check_plan(replace(plan, routines=(plan.routines[0], step)))


def test_other_schedules_are_other_plans_of_the_same_job() -> None:
    plan = compile_for(counting(ROOT), "llvm").plan
    other = with_other_schedules(plan, random.Random(1))
    assert (other.job, len(other.routines)) == (str(job_hash(counting(ROOT))), len(plan.routines))
    assert compile_job(counting(ROOT), plan.target) == plan
