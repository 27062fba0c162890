"""`jobspec hash FILE`: what a job and its plan are called."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import backend_option, job_argument, json_option, say_json, spec_of
from jobspec.ir.codec.job import job_parts
from jobspec.ir.codec.parts import Parts
from jobspec.ir.codec.plan import plan_parts


@click.command()
@job_argument
@backend_option
@click.option("--explain", is_flag=True, help="Show the named parts and their digests.")
@json_option
def command(file: Path, sets: tuple[str, ...], on: str, explain: bool, as_json: bool) -> None:
    """Print the job hash and, for this machine, the plan hash."""
    program = api.compile(spec_of(file, sets), on)
    parts = {"job": job_parts(program.spec.job), "plan": parts_of_plan(program)} if explain else {}
    hashes = {"job": program.job_hash, "plan": program.plan_hash}
    if as_json:
        named = {what: {name: str(digest) for name, digest in found} for what, found in parts.items()}
        say_json({**hashes, **({"parts": named} if explain else {})})
        return
    for what, text in hashes.items():
        click.echo(f"{what:<5} {text}")
        for name, digest in parts.get(what, []):
            click.echo(f"      {digest.short}  {name}")


def parts_of_plan(program: api.Program) -> Parts:
    return plan_parts(program.compiled.plan, program.compiled.backend.compilers)
