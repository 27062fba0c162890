"""`jobspec compile FILE`: the plan, as a file that runs anywhere its processor does."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, backend_option, job_argument, json_option, say_json, spec_of, tuned_option
from jobspec.dumping import dump as write_stages
from jobspec.ir.codec.plan_file import encode_plan_file
from jobspec.runtime.made import remember
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import open_home

SUFFIX = ".plan"


@click.command()
@job_argument
@backend_option
@tuned_option
@click.option("-o", "--output", type=FILE, help="File to write (default: FILE with the suffix .plan).")
@click.option("--dump", type=FILE, metavar="DIR", help="Also write every stage as text into this folder.")
@json_option
def command(
    file: Path, sets: tuple[str, ...], on: str, tuned: bool, output: Path | None, dump: Path | None, as_json: bool
) -> None:
    """Compile a job to a plan file. `jobspec run` takes it in place of the job."""
    program = api.compile(spec_of(file, sets), on, tuned=tuned)
    path = output or file.with_suffix(SUFFIX)
    data = encode_plan_file(program.spec.job, program.compiled.plan)
    write_file(FileLayer(), path, [data])
    remember(open_home(), data)
    dumped = write_stages(dump, program.spec.job, program.compiled.plan) if dump else []
    if as_json:
        answer = {"job": program.job_hash, "plan": program.plan_hash, "file": path, "bytes": len(data)}
        say_json({**answer, "dump": dumped} if dump else answer)
    else:
        click.echo(f"job   {program.job_hash}\nplan  {program.plan_hash}\nfile  {path} ({len(data):,} bytes)")
        for stage in dumped:
            click.echo(f"dump  {stage}")
