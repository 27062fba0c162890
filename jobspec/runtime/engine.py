"""From a job to a session: the job's plan for a backend, its hash, and the plan loaded on the device.

Takes: a job or a plan file's contents, a backend's name. Promises: equal jobs on equal machines give equal
plan hashes; a session runs exactly the plan it was opened with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.backends.registry import Backend, backend, name_for
from jobspec.backends.session import Session
from jobspec.ir.check import IllFormed
from jobspec.ir.classes import claim
from jobspec.ir.codec.job import job_hash
from jobspec.ir.codec.plan import plan_hash
from jobspec.ir.digest import Digest
from jobspec.ir.errors import CompileError
from jobspec.ir.job import Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan
from jobspec.runtime.plans import plan_of
from jobspec.runtime.tuning import Known, tuned

if TYPE_CHECKING:
    from jobspec.ir.plan_check import check_plan
    from jobspec.passes.pipeline import compile_job, lower_program
else:
    check_plan = later("jobspec.ir.plan_check", "check_plan")
    compile_job = later("jobspec.passes.pipeline", "compile_job")
    lower_program = later("jobspec.passes.pipeline", "lower_program")


@dataclass(frozen=True)
class Compiled:
    """A job, its plan, and the backend the plan is for."""

    job: Job
    plan: Plan
    backend: Backend

    @cached_property
    def job_hash(self) -> Digest:
        return job_hash(self.job)

    @cached_property
    def plan_hash(self) -> Digest:
        return plan_hash(self.plan, self.backend.compilers)

    @property
    def claim(self) -> str:
        """The profile as a receipt names it, with the class of devices where that decides."""
        return claim(self.job.profile, self.plan.target)

    def open(self, threads: int, cache: Path) -> Session:
        """The plan loaded with `threads` threads; `cache`: folder for compiled code."""
        job = lowered(self.job) if self.backend.interprets else self.job
        return self.backend.open(self.plan, job, threads, cache)


def compile_for(job: Job, name: str, known: Known | None = None, cache: Path | None = None) -> Compiled:
    """`job` compiled for the backend `name` on this machine; `known`: measured schedules; `cache`: folder where plans
    are kept that take time to make. Raises UsageError, CompileError."""
    chosen = backend(name)
    known_plans = None if chosen.interprets else cache
    plan = plan_of(job, chosen.target, known_plans) if known_plans else compile_job(job, chosen.target)
    return Compiled(job, tuned(plan, known) if known else plan, chosen)


def recompiled(job: Job, plan: Plan) -> Compiled:
    """`job` compiled here for the target that `plan` was made for, and proved. Raises CompileError."""
    return proved(Compiled(job, compile_job(job, plan.target), backend(name_for(plan.target))))


def proved(compiled: Compiled) -> Compiled:
    """The same, if every access of every kernel is proved to lie in its buffer: what a stranger's job is asked for.
    Raises CompileError E0606."""
    try:
        check_plan(compiled.plan)
    except IllFormed as error:
        reason = f"the plan of this job cannot be proved to stay inside its memory: {str(error).splitlines()[0]}"
        raise CompileError("E0606", reason, help="please report it, with the job") from error
    return compiled


def lowered(job: Job) -> Job:
    """The job with its programs after all tensor passes, for a backend that evaluates them."""
    lower = cache(partial(lower_program, profile=job.profile))
    phases = tuple(replace(phase, step=lower(phase.step)) for phase in job.phases)
    evaluations = tuple(replace(e, program=lower(e.program)) for e in job.evaluations)
    return replace(job, init=lower(job.init), phases=phases, evaluations=evaluations)


def default_threads() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))
