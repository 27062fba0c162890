"""`jobspec export FILE`: weights for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, job_argument, json_option, say_json, spec_of


@click.command()
@job_argument
@click.option("-o", "--output", type=FILE, help="File to write (default: NAME.safetensors here).")
@click.option("--best", metavar="EVALUATION", help="The state this evaluation found best, in place of the last.")
@click.option("--phase", metavar="PHASE", help="The state at the end of this phase, in place of the last.")
@click.option("--weights", type=click.Choice(["average"]), help="The averages that `train` keeps, in their place.")
@click.option("--names", metavar="TABLE", help="Under another program's names: gpt2, llama (Hugging Face).")
@json_option
def command(
    file: Path,
    sets: tuple[str, ...],
    output: Path | None,
    best: str | None,
    phase: str | None,
    weights: str | None,
    names: str | None,
    as_json: bool,
) -> None:
    """Write a job's trained weights (or those of its newest checkpoint) as safetensors."""
    spec = spec_of(file, sets)
    path = output or Path(f"{spec.job.name}.safetensors")
    step = api.export(spec, path, best=best, phase=phase, average=weights == "average", names=names)
    if as_json:
        say_json({"file": path, "step": step})
    else:
        click.echo(f"{path}: the weights after step {step:,}")
