"""`jobspec check FILE`: is it a job, and what does it amount to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from jobspec.commands.options import job_argument, json_option, say_json, spec_of
from jobspec.ir.job import Job


@click.command()
@job_argument
@json_option
def command(file: Path, sets: tuple[str, ...], as_json: bool) -> None:
    """Check a job: syntax, names, axes, shapes, updates, its mesh. Needs neither data nor a compiler."""
    spec = spec_of(file, sets)
    for mesh in spec.job.runs:
        mesh.need_fit()
    facts = facts_of(spec.job) if not spec.unknown else without_lengths(facts_of(spec.job))
    if as_json:
        say_json({"ok": True, **facts})
    else:
        length = f"steps unknown before `{spec.unknown[0]}` is here" if spec.unknown else length_of(facts)
        click.echo(f"ok: {facts['name']}: {facts['parameters']:,} parameters, {length}")


def without_lengths(facts: dict[str, Any]) -> dict[str, Any]:
    """Where data that is not here decides about them."""
    return {**facts, "steps": None, "phases": [{**phase, "steps": None} for phase in facts["phases"]]}


def length_of(facts: dict[str, Any]) -> str:
    """How long the run is, in words."""
    sizes = " or ".join(dict.fromkeys(f"{phase['batch']:,}" for phase in facts["phases"]))
    phases = f" in {len(facts['phases'])} phases" if len(facts["phases"]) > 1 else ""
    return f"{facts['steps']:,} steps of {sizes} examples{phases}"


def facts_of(job: Job) -> dict[str, Any]:
    """Figures of a job that need no compiling."""
    return {
        "name": job.name,
        "title": job.title,
        "parameters": sum(slot.type.size for slot in job.state if slot.kind == "parameter"),
        "state_bytes": sum(slot.type.nbytes for slot in job.state),
        "steps": job.steps,
        "batch": job.phases[0].batches.size,
        "phases": [{"name": p.name, "steps": p.steps, "batch": p.batches.size} for p in job.phases],
        "seed": job.seed,
        "profile": job.profile,
        "data": {source.name: source.root for source in job.sources},
        "evaluations": [evaluation.name for evaluation in job.evaluations],
    }
