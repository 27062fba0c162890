"""Whole programs run natively, beside their evaluation by the reference.

Takes: a program as tests/passes/routines.py takes it, inputs by name. Promises: state after one step and reports, from
machine code; every target is one that this machine can run.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.reference.numbers import Array
from jobspec.backends.session import Session
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.plan_check import check_routine
from jobspec.ir.program import Program
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_routine
from tests.passes.routines import job_of


def run_natively(
    program: Program, inputs: Mapping[str, Array], target: Target, threads: int = 2
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """State and reports by name, and the flags that were raised."""
    job = job_of(program)
    step = job.phases[0].step
    routine = compile_routine(job, "step", step, job.phases[0].batches, target, checked=True)
    check_routine(routine)
    plan = Plan("", job.profile, target, (routine,))
    return stepped(job, LlvmSession(plan, threads, Compiler(target, 2)), routine, inputs)


def stepped(
    job: Job, session: Session, routine: Routine, inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """One step in a session, which is closed."""
    row = np.zeros((1, max(1, routine.feed)), np.uint8)
    for name, number in routine.feeds:
        buffer = routine.buffers[number]
        row[0, buffer.offset : buffer.offset + buffer.type.nbytes] = inputs[name].reshape(-1).view(np.uint8)
    try:
        for slot in job.state:
            session.write(slot.name, inputs[slot.name])
        outcome = session.run("step", 0, row[:, : routine.feed])
        found = {slot.name: session.read(slot.name) for slot in job.state}
    finally:
        session.close()
    reports = dict(zip((name for name, _ in routine.reports), outcome.reports[0], strict=True))
    return {**found, **reports}, outcome.flags
