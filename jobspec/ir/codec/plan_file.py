"""Plan files: a job and its plan in one, as `jobspec compile` writes them.

Takes: both, or bytes that may come from anywhere. Promises: what is read is a whole job and a whole plan, each
checked, and the plan says it is this job's.
"""

from __future__ import annotations

from jobspec.ir.canonical import CanonicalError, Limits, decode, encode
from jobspec.ir.codec.job import JobFormatError, decode_job, encode_job, job_hash
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.codec.values import as_bytes, keys
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.ir.record import Record, RecordError

FORMAT = 1
LIMITS = Limits(size=320 << 20, depth=1, items=8)
KEYS = keys("format job plan")


class PlanFileError(ValueError):
    """Bytes that are not a plan file."""


def encode_plan_file(job: Job, plan: Plan) -> bytes:
    return encode({"format": FORMAT, "job": encode_job(job), "plan": encode_plan(plan)})


def decode_plan_file(data: bytes) -> tuple[Job, Plan]:
    """Raises PlanFileError with the reason."""
    try:
        record = Record(decode(data, LIMITS), "the plan file", KEYS)
        record.integer("format", FORMAT, FORMAT)
        job = decode_job(as_bytes(record.get("job"), "the job"))
        plan = decode_plan(as_bytes(record.get("plan"), "the plan"))
    except (CanonicalError, RecordError, JobFormatError, PlanFormatError) as error:
        raise PlanFileError(str(error)) from error
    _check_same(job, plan)
    return job, plan


def _check_same(job: Job, plan: Plan) -> None:
    if plan.job != str(job_hash(job)):
        raise PlanFileError(f"the plan is of the job {plan.job}, the job beside it is {job_hash(job)}")
    wanted = [name for name, _, _ in job.programs]
    if plan.profile != job.profile or [r.name for r in plan.routines] != wanted:
        raise PlanFileError("the plan's profile or routines are not the job's")
    for routine, (_, _, batches) in zip(plan.routines, job.programs, strict=True):
        slots = [(name, routine.buffers[place].type) for name, place in routine.slots]
        feeds = [(name, routine.buffers[place].type) for name, place in routine.feeds]
        given = [(f.name, f.type) for f in batches.feeds] if batches else []
        if slots != [(s.name, s.type) for s in job.state] or feeds != given:
            raise PlanFileError(f"the state or batch of `{routine.name}` in the plan is not the job's")
