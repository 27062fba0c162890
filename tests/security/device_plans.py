"""Changed plans for devices, rendered: no driver is asked, no device is there.

Takes: small jobs, a seed. Promises: `DevicePlans.one` changes a plan for OpenCL or CUDA (a number of a schedule, a
target, any place of its bytes) and raises what neither the reader, the checker, the compiler nor the renderer puts in
words.

    python -m tests.security.device_plans SECONDS [SEED]
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda.target import target_of
from jobspec.ir.canonical import decode, encode
from jobspec.ir.check import IllFormed
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Schedule
from jobspec.ir.plan_check import check_plan
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_job
from tests.runtime.jobs import counting, regression
from tests.security.mutants import changed
from tests.specs.tiny import entries

ROOT = "b3:" + "ab" * 32
TARGETS = (Target("opencl", "a processor", "cpu", lanes=16), Target("opencl", "a GPU", "gpu"), target_of(90))
#: whose kernels are of all kinds: attention, scans, experts
SMALL = ("gpt2_124m", "mamba_130m", "mixtral_8x7b")
#: what schedules say, on one device or another
CHOICES = ["rows", "columns", "high", "wide", "stage", "stages", "lanes", "swap", "pack", "beside", "parts", "team"]
CHOICES += ["items", "between", "matrices", "aside", "along", "each", "blocks"]
NUMBERS = (-2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 128, 256, 1 << 40)


class DevicePlans:
    """Made of `names` of the small specs and of two jobs that are smaller."""

    def __init__(self, folder: Path, seed: int, names: tuple[str, ...] = SMALL) -> None:
        self.chance, self.counts = random.Random(seed), Counter[str]()
        tiny = entries()
        jobs = [counting(ROOT), regression(ROOT), *(tiny[name].spec(folder).job for name in names)]
        self.plans = [(job, compile_job(job, target)) for job in jobs for target in TARGETS]

    def one(self) -> None:
        job, plan = self.chance.choice(self.plans)
        what = self.chance.choices(("schedule", "target", "plan"), (3, 1, 2))[0]
        made: Callable[[Job, Plan], str] = getattr(self, f"of_{what}")
        self.counts[f"{what}: {made(job, plan)}"] += 1

    def of_schedule(self, job: Job, plan: Plan) -> str:
        """One number of one kernel's is another, or is there in addition."""
        at = self.chance.randrange(len(plan.routines))
        routine = plan.routines[at]
        number = self.chance.randrange(len(routine.schedules))
        choices = dict(routine.schedules[number].choices)
        choices[self.chance.choice([*choices, *CHOICES])] = self.chance.choice(NUMBERS)
        schedules = list(routine.schedules)
        schedules[number] = Schedule.of(**choices)
        routines = list(plan.routines)
        routines[at] = replace(routine, schedules=tuple(schedules))
        return rendering(replace(plan, routines=tuple(routines)))

    def of_target(self, job: Job, plan: Plan) -> str:
        """The job is compiled for it before anyone asks whether it is here."""
        field = self.chance.choice(("lanes", "registers", "l1", "l2", "l3"))
        data = encode_plan(retargeted(plan, {field: self.chance.choice(NUMBERS[2:])}))
        try:
            compile_job(job, decode_plan(data).target)
        except PlanFormatError:
            return "refused when read"
        return "compiled"

    def of_plan(self, job: Job, plan: Plan) -> str:
        data = encode(changed(decode(encode_plan(plan)), self.chance))
        try:
            check_plan(mutant := decode_plan(data))
        except PlanFormatError:
            return "refused when read"
        except IllFormed:
            return "refused by the checker"
        return rendering(mutant)


def retargeted(plan: Plan, fields: dict[str, Any]) -> Plan:
    return replace(plan, target=replace(plan.target, **fields))


def rendering(plan: Plan) -> str:
    """All of a plan."""
    try:
        for routine in plan.routines:
            render_routine(routine, plan.target.backend if plan.target.backend == "cuda" else "opencl")
    except JobspecError as error:
        return f"refused by {error.code}"
    return "rendered"


def main(seconds: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plans, end = DevicePlans(Path(folder), seed), time.monotonic() + seconds
        while time.monotonic() < end:
            plans.one()
    for what, count in sorted(plans.counts.items()):
        print(f"{count:>7,}  {what}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
