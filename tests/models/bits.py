"""Random models (texts.py) run routine by routine: what a session leaves behind, beside what the reference leaves.

Takes: a job, a plan of it, a session, a seed for what is fed. Promises: `states` runs init, the steps of all phases and
the evaluations after each, and gives all state after each of them, up to the one in which something becomes infinite;
`rescheduled` draws other schedules for a plan's kernels, among all that such a plan may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from jobspec.backends.reference.session import ReferenceSession
from jobspec.backends.session import Session
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.engine import lowered

Array = np.ndarray
States = list[dict[str, bytes]]


def field_of(random: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    """Floats around 0; whole numbers 0 and 1, places of every table."""
    if dtype == "f32":
        return random.standard_normal(shape).astype(np.float32)
    return random.integers(0, 2, shape).astype(np.uint8)


def runs_of(job: Job, plan: Plan, seed: int) -> Iterator[tuple[str, int, Array]]:
    """(routine, first step, random batches as the plan lays them out): init, the steps of all phases, evaluations."""
    yield "init", 0, np.zeros((1, 0), np.uint8)
    random, done = np.random.default_rng(seed), 0
    for name, phase in zip(job.step_names, job.phases, strict=True):
        for _ in range(phase.steps):
            yield name, done, row_of(plan.routine(name), random)
            done += 1
        for evaluation in job.evaluations:
            yield evaluation.name, 0, row_of(plan.routine(evaluation.name), random)


def row_of(routine: Routine, random: np.random.Generator) -> Array:
    row = np.zeros((1, routine.feed), np.uint8)
    for _, number in routine.feeds:
        buffer = routine.buffers[number]
        raw = field_of(random, buffer.type.dtype, buffer.type.shape).tobytes()
        row[0, buffer.offset : buffer.offset + buffer.type.nbytes] = np.frombuffer(raw, np.uint8)
    return row


def states(session: Session, job: Job, plan: Plan, seed: int) -> States:
    """All state after each run of a routine, and what it reports. The session is closed."""
    found: States = []
    with closing(session):
        for routine, first, feeds in runs_of(job, plan, seed):
            outcome = session.run(routine, first, feeds)
            if outcome.flags:
                return [*found, dict.fromkeys(outcome.flags, b"")]
            state = {slot.name: session.read(slot.name).tobytes() for slot in job.state}
            found.append({**state, "": outcome.reports.tobytes()})
    return found


def by_reference(job: Job, seed: int) -> States:
    plan = compile_job(job, Target("reference"))
    return states(ReferenceSession(plan, lowered(job)), job, plan, seed)


def rescheduled(plan: Plan, seed: int) -> Plan:
    random = np.random.default_rng(seed)
    return replace(plan, routines=tuple(routine_by(r, plan.target, random) for r in plan.routines))


def routine_by(routine: Routine, target: Target, random: np.random.Generator) -> Routine:
    menus = (possible_schedules(kernel, target) for kernel in routine.kernels)
    return replace(routine, schedules=tuple(menu[random.integers(len(menu))] for menu in menus))
