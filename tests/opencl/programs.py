"""Whole programs run on the admitted OpenCL device, beside their evaluation by the reference.

Takes: a program as tests/passes/routines.py takes it, inputs by name. Promises: state after one step, reports and the
flags that were raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from jobspec.backends.reference.numbers import Array
from jobspec.backends.registry import Backend, backend
from jobspec.ir.plan import Plan
from jobspec.ir.plan_check import check_routine
from jobspec.ir.program import Program
from jobspec.passes.pipeline import compile_routine
from tests.llvm.programs import stepped
from tests.passes.routines import job_of


@cache
def opencl() -> Backend:
    return backend("opencl")


def run_on_device(
    program: Program, inputs: Mapping[str, Array], shape: str = ""
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """`shape`: cpu or gpu, whose schedules to take; the device's own where it is empty."""
    job = job_of(program)
    phase, target = job.phases[0], opencl().target
    scheduled = replace(target, features=shape or target.features)
    routine = compile_routine(job, "step", phase.step, phase.batches, scheduled, checked=True)
    check_routine(routine)
    session = opencl().open(Plan("", job.profile, target, (routine,)), job, 1, Path())
    return stepped(job, session, routine, inputs)
