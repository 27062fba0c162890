"""The plan of a job: recalled from an earlier run, or made.

Takes: a job, a target, a folder. Promises: what is recalled is what compiling gives. Its key is made of the whole job,
the target, and the sources of whatever has a part in a plan; an entry that cannot be read whole as a plan of this
job for this target is made anew. Whoever checks a receipt compiles for himself and never comes here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.backends.kept import Kept, sources
from jobspec.ir.canonical import CanonicalError, reread
from jobspec.ir.codec.job import encode_job
from jobspec.ir.codec.plan import encode_plan, read_plan, target_value
from jobspec.ir.digest import Digest, digest_value
from jobspec.ir.job import Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan
from jobspec.ir.record import RecordError
from jobspec.ir.target import Target

if TYPE_CHECKING:
    from jobspec.passes.pipeline import compile_job
else:
    compile_job = later("jobspec.passes.pipeline", "compile_job")

#: where everything lies that a plan is made by
PASSES = ("ir/**/*.py", "passes/**/*.py")


def plan_of(job: Job, target: Target, folder: Path) -> Plan:
    """The plan of `job`, kept in `folder`. Raises CompileError."""
    key, kept = key_of(job, target), Kept(folder)
    plan = read(kept.recall(key), target)
    if plan is None:
        plan = compile_job(job, target)
        kept.keep(key, encode_plan(plan))
    return plan


def key_of(job: Job, target: Target) -> Digest:
    return digest_value("plan.key", [sources(*PASSES).raw, encode_job(job), target_value(target)])


def read(stored: bytes | None, target: Target) -> Plan | None:
    """What was kept, if it can be read."""
    if stored is None:
        return None
    try:
        plan = read_plan(reread(stored))
    except (CanonicalError, RecordError):
        return None
    return plan if plan.target == target else None
