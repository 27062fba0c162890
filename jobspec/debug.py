"""JOBSPEC_DEBUG=n: more of the way on standard error.

    1  stages and their times      2  also the schedule      3  also the kernels      4  also the programs

Promises: it prints; no result and no hash depends on it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobspec.ir.job import Job
from jobspec.ir.later import later
from jobspec.ir.plan import Plan

if TYPE_CHECKING:
    from jobspec.views import kernels, programs, schedule
else:
    kernels = later("jobspec.views", "kernels")
    programs = later("jobspec.views", "programs")
    schedule = later("jobspec.views", "schedule")


def level() -> int:
    """The dial; what is no number counts as 1."""
    text = os.environ.get("JOBSPEC_DEBUG", "0")
    return int(text) if text.isdigit() else 1


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say how long the block took."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        say(1, lambda: [f"[jobspec] {name}: {time.perf_counter() - begun:.3f} s"])


def compiled(job: Job, plan: Plan) -> None:
    """Say what became of a job."""
    say(2, lambda: schedule(plan))
    say(3, lambda: kernels(plan))
    say(4, lambda: programs(job))


def say(least: int, lines: Callable[[], Iterable[str]]) -> None:
    """Lines for who asked for them; made only then."""
    if level() >= least:
        print("\n".join(lines()), file=sys.stderr, flush=True)
