"""Whole programs run on the admitted OpenCL device, beside their evaluation by the reference.

Takes: a program as tests/passes/routines.py takes it, inputs by name. Promises: state after one step, reports and the
flags that were raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from jobspec.backends.reference.numbers import Array
from jobspec.backends.registry import Backend, backend
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.ir.plan_check import check_routine
from jobspec.ir.program import Program
from jobspec.passes.pipeline import compile_routine
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
    return stepped(job, Plan("", job.profile, target, (routine,)), inputs)


def stepped(job: Job, plan: Plan, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[str, ...]]:
    routine = plan.routines[0]
    row = np.zeros((1, max(1, routine.feed)), np.uint8)
    for name, number in routine.feeds:
        buffer = routine.buffers[number]
        row[0, buffer.offset : buffer.offset + buffer.type.nbytes] = inputs[name].reshape(-1).view(np.uint8)
    session = opencl().open(plan, job, 1, Path())
    try:
        for slot in job.state:
            session.write(slot.name, inputs[slot.name])
        outcome = session.run("step", 0, row[:, : routine.feed])
        found = {slot.name: session.read(slot.name) for slot in job.state}
    finally:
        session.close()
    reports = dict(zip((name for name, _ in routine.reports), outcome.reports[0], strict=True))
    return {**found, **reports}, outcome.flags
