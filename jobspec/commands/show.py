"""`jobspec show FILE`: what a job is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from jobspec import api
from jobspec.commands.check import facts_of, length_of
from jobspec.commands.options import backend_option, job_argument, spec_of
from jobspec.ir.amounts import in_bytes
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.loading import Spec
from jobspec.views import kernels, memory, programs, schedule


@click.command()
@job_argument
@backend_option
@click.option("--params", "view", flag_value="params", help="Parameters, with axes and sizes.")
@click.option("--axes", "view", flag_value="axes", help="Axes and their sizes.")
@click.option("--ir", "view", flag_value="ir", help="The tensor programs.")
@click.option("--kernels", "view", flag_value="kernels", help="The fused kernels.")
@click.option("--schedule", "view", flag_value="schedule", help="The order of kernels, and how each is executed.")
@click.option("--memory", "view", flag_value="memory", help="Every buffer and its place.")
def command(file: Path, sets: tuple[str, ...], on: str, view: str | None) -> None:
    """Show a job: a summary, or one view of it."""
    spec = spec_of(file, sets)
    click.echo("\n".join(lines_of(spec, on, view)))


def lines_of(spec: Spec, on: str, view: str | None) -> Iterator[str]:
    if view == "params":
        return params(spec.job)
    if view == "axes":
        return axes(spec.job)
    if view == "ir":
        return programs(spec.job)
    plan = api.compile(spec, on).compiled.plan
    views = {"kernels": kernels, "schedule": schedule, "memory": memory}
    return views[view](plan) if view in views else overview(spec.job, plan)


def overview(job: Job, plan: Plan) -> Iterator[str]:
    facts = facts_of(job)
    yield job.heading
    yield f"parameters  {facts['parameters']:,} ({in_bytes(facts['state_bytes'])} of state)"
    yield f"steps       {length_of(facts)}, seed {job.seed}"
    yield from phases(job)
    yield f"profile     {job.profile}"
    for source in job.sources:
        yield f"data        {source.name} {source.root}"
    for routine in plan.routines:
        memory = f"{in_bytes(routine.arena)} of memory, {in_bytes(routine.feed)} a batch"
        yield f"{routine.name:<11} {len(routine.kernels)} kernels, {memory}"
    yield f"job         {plan.job}"


def phases(job: Job) -> Iterator[str]:
    """Each phase's steps, where there are several."""
    for phase, end in zip(job.phases, job.borders, strict=True):
        if phase.name:
            window = f" of {phase.batches.stream.window:,} tokens" if phase.batches.stream.window else ""
            first = f"from step {end - phase.steps:,}"
            yield f"phase       {phase.name}: {first} {phase.steps:,} of {phase.batches.size:,} examples{window}"


def params(job: Job) -> Iterator[str]:
    """Slots that are parameters or layers' state, and the sum of the parameters."""
    sizes = dict(job.sizes)
    shown = [slot for slot in job.state if slot.kind != "optimizer"]
    width = max((len(slot.name) for slot in shown), default=0)
    for slot in shown:
        named = " ".join(f"{axis}={n}" for axis, n in zip(slot.axes, slot.type.shape, strict=True))
        kind = "" if slot.kind == "parameter" else f"  ({slot.kind})"
        yield f"{slot.name:<{width}}  {slot.type.dtype}  {slot.type.size:>12,}  {named}{kind}"
    yield f"{'':<{width}}       {facts_of(job)['parameters']:>12,}  in all, with B={sizes['B']}"


def axes(job: Job) -> Iterator[str]:
    for name, size in job.sizes:
        used = [slot.name for slot in job.state if name in slot.axes and slot.kind == "parameter"]
        yield f"{name:<6} {size:>10,}  {' '.join(used)}".rstrip()
