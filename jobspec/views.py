"""Jobs and plans as text for people: what `show` prints, and JOBSPEC_DEBUG.

Promises: nothing is left out; routine by routine, in the plan's order.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.job import Job
from jobspec.ir.kernel_text import print_kernel, print_memory, print_steps
from jobspec.ir.plan import Plan
from jobspec.ir.text import print_program


def programs(job: Job) -> Iterator[str]:
    for name, program, _ in job.programs:
        yield f"# {name}"
        yield print_program(program)


def kernels(plan: Plan) -> Iterator[str]:
    for routine in plan.routines:
        yield f"# {routine.name}"
        yield from (print_kernel(kernel, routine.buffers) for kernel in routine.kernels)


def schedule(plan: Plan) -> Iterator[str]:
    for routine in plan.routines:
        yield f"# {routine.name}"
        for number, (kernel, chosen) in enumerate(zip(routine.kernels, routine.schedules, strict=True)):
            choices = " ".join(f"{name}={n}" for name, n in chosen.choices)
            yield f"{number:>4} {kernel.kind} {kernel.name}: {choices or 'no choices'}"
        yield from print_steps(routine.steps, routine.kernels, "  ")


def memory(plan: Plan) -> Iterator[str]:
    for routine in plan.routines:
        yield f"# {routine.name}"
        yield print_memory(routine)
