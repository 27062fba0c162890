"""`jobspec run FILE`: train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from jobspec import api
from jobspec.commands.options import (
    backend_option,
    job_argument,
    json_option,
    say_json,
    spec_of,
    threads_option,
    tuned_option,
)
from jobspec.ir.errors import UsageError
from jobspec.runtime.progress import reporter_for

PLAN = ".plan"
#: exit code of a run that a signal stopped
INTERRUPTED = 130


@click.command()
@job_argument
@backend_option
@threads_option
@tuned_option
@click.option("--until", type=click.IntRange(0), metavar="STEP", help="Stop after so many steps; run again to go on.")
@click.option("--again", is_flag=True, help="Train even if the result is known, and compare.")
@json_option
def command(
    file: Path,
    sets: tuple[str, ...],
    on: str,
    threads: int | None,
    tuned: bool,
    until: int | None,
    again: bool,
    as_json: bool,
) -> int:
    """Train a job (or a plan file) to its end, from where the last run got to. Ctrl-C saves the state."""
    program = program_of(file, sets, on, tuned)
    reporter = reporter_for(sys.stderr if as_json else sys.stdout)
    run = api.run(program, threads=threads, until=until, again=again, progress=reporter)
    if as_json:
        say_json(answer_of(run))
    else:
        click.echo("\n".join(summary(run, program)))
    return INTERRUPTED if run.interrupted else 0


def program_of(file: Path, sets: tuple[str, ...], on: str, tuned: bool = False) -> api.Program:
    """The program in a job or a plan file."""
    if file.suffix != PLAN:
        return api.compile(spec_of(file, sets), on, tuned=tuned)
    if sets:
        raise UsageError("E0819", "a plan file is compiled already: nothing can be set in it", help="set it in the job")
    return api.read_plan(file)


def answer_of(run: api.Run) -> dict[str, Any]:
    """What `--json` says, as the documentation lists it."""
    return {
        "job": run.job,
        "plan": run.plan,
        "state": run.state,
        "receipt": run.receipt,
        "weights": run.weights_file,
        "metrics": run.final,
        "steps": run.steps,
        "known": run.known,
        "interrupted": run.interrupted,
    }


def summary(run: api.Run, program: api.Program) -> list[str]:
    """What a person wants to know at the end."""
    job = program.spec.job
    lines = ["this result is known already (--again trains anew)"] if run.known else []
    if run.receipt is None:
        lines.append(f"stopped after step {run.steps:,} of {job.steps:,}; `jobspec run` goes on from here")
    lines += [f"{name:<8} {value:.6g}" for name, value in run.final.items()]
    lines += [f"{name:<8} {text}" for name, text in (("job", run.job), ("plan", run.plan), ("state", run.state))]
    if run.receipt is not None:
        lines += [f"{'weights':<8} {run.weights_file}", f"{'receipt':<8} {run.receipt}"]
    return lines
