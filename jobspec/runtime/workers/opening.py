"""A compiled job that runs on workers.

Takes: a compiled job, which workers are asked for. Promises: the same job with the same plan hash, so the same run,
log and receipt; only opening it opens a crew instead of a device.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from jobspec.backends.registry import backend, need_known
from jobspec.backends.session import Session
from jobspec.ir.classes import claim
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.passes.layout import slot_buffers
from jobspec.runtime.engine import Compiled, default_threads
from jobspec.runtime.tuning import carried
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.ray_cluster import connected
from jobspec.runtime.workers.ray_crew import RayCrew
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.seats import Asked
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.shelf import shelf_for
from jobspec.runtime.workers.worker import Setup, Worker

Tell = Callable[[str], None]


def on_workers(compiled: Compiled, asked: Asked, tell: Tell) -> Compiled:
    """`compiled` as `asked`. Raises UsageError E0865, and as `need_backends`; opening it, E0863 and E0867."""
    job = compiled.job
    need_backends(asked)
    Cutting(job, len(asked.backends)).check()

    def opened(plan: Plan, _: Job, threads: int, cache: Path) -> Session:
        ray = connected(asked.address, len(asked.backends), slot_buffers(job.state)[1])
        try:
            return session_on(ray, replace(compiled, plan=plan), asked, cache, tell)
        except BaseException:
            ray.shutdown()
            raise

    return replace(compiled, backend=replace(compiled.backend, open=opened, on_host=False, interprets=False))


def need_backends(asked: Asked) -> None:
    """Raises UsageError for a backend that no worker can have: unknown (E0811), or not on this machine where all are
    to be here."""
    for name in dict.fromkeys(asked.backends):
        need_known(name)
        if asked.address is None:
            backend(name)


def session_on(ray: Any, compiled: Compiled, asked: Asked, cache: Path, tell: Tell) -> WorkersSession:
    """A session on a crew of Ray's."""
    threads, schedules = asked.threads or threads_each(ray, asked), carried(compiled.plan)

    def setup(name: str) -> Setup:
        return Setup(name, threads, compiled.job.profile, cache, schedules)

    crew = RayCrew(ray, asked, setup, claim(compiled.job.profile, compiled.plan.target), tell)
    referee = Worker(replace(setup(compiled.backend.name), threads=default_threads()), crew.fetch)
    scheduler = Scheduler(crew, referee.said, asked.recheck, tell=tell, tally=asked.tally, timeline=asked.timeline)
    workers = len(asked.backends) or len(machines(ray))
    cutting = Cutting(compiled.job, workers, asked.shared)
    cutting.check()
    shelf = shelf_for(slot_buffers(compiled.job.state)[1], cache)
    return WorkersSession(compiled.job, compiled.plan, scheduler, cutting.routine, shelf)


def machines(ray: Any) -> list[int]:
    """Processors of each machine of the cluster."""
    nodes = (node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    return [int(count) for count in nodes if count]


def threads_each(ray: Any, asked: Asked) -> int:
    """What one worker has of its machine's processors, if they are shared out evenly."""
    if asked.address is None:
        return max(1, default_threads() // len(asked.backends))
    counts = machines(ray) or [os.cpu_count() or 1]
    return max(1, min(counts) // max(1, ceil(len(asked.backends) / len(counts))))
