"""`jobspec run FILE`: train."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from jobspec import api
from jobspec.backends.registry import DEFAULT
from jobspec.commands.options import (
    backend_option,
    job_argument,
    json_option,
    known_spec_of,
    read_size,
    say_json,
    spec_of,
    threads_option,
    tuned_option,
)
from jobspec.confining import PLAN, is_strange, run_confined, shut_in
from jobspec.ir.errors import UsageError
from jobspec.runtime.budget import Budget, need_within
from jobspec.runtime.engine import default_threads, proved
from jobspec.runtime.progress import reporter_for
from jobspec.runtime.workers.seats import RECHECK, Asked, asked_of
from jobspec.sandbox.confine import compiled
from jobspec.store.home import Home, open_home

#: exit code of a run that a signal stopped
INTERRUPTED = 130


@click.command()
@job_argument
@backend_option
@threads_option
@tuned_option
@click.option("--until", type=click.IntRange(0), metavar="STEP", help="Stop after so many steps; run again to go on.")
@click.option("--again", is_flag=True, help="Train even if the result is known, and compare.")
@click.option("--most-memory", "memory", callback=read_size, metavar="SIZE", help="Refuse a job that takes more: 16G.")
@click.option("--most-flop", "flop", type=float, metavar="N", help="Refuse a job of more operations: 1e15.")
@click.option(
    "--sandbox/--no-sandbox", default=None, help="In a confined process; a plan file from elsewhere always is."
)
@click.option("--workers", metavar="N", help="On so many workers on Ray; of other backends: llvm=2,opencl=1.")
@click.option("--ray", metavar="ADDRESS", help="The workers' cluster; without it, one is started here.")
@click.option(
    "--recheck", type=click.FloatRange(0, 1), metavar="SHARE",
    help=f"Compute this share of the workers' answers a second time elsewhere (default {RECHECK}; 0: none).",
)
@click.option("--share-updates", "shared", is_flag=True, help="Workers share the update and the optimizer's state too.")
@click.option("--confined", is_flag=True, hidden=True, help="This is that process.")
@json_option
def command(
    file: Path,
    sets: tuple[str, ...],
    on: str,
    threads: int | None,
    tuned: bool,
    until: int | None,
    again: bool,
    memory: int | None,
    flop: float | None,
    sandbox: bool | None,
    workers: str | None,
    ray: str | None,
    recheck: float | None,
    shared: bool,
    confined: bool,
    as_json: bool,
) -> int:
    """Train a job (or a plan file) to its end, from where the last run got to. Ctrl-C saves the state."""
    home = open_home()
    on = on if is_said("on") or not (workers or ray or sandbox or file.suffix == PLAN) else DEFAULT
    asked = asked_of(workers, ray, on, recheck, threads, shared)
    if confined:
        shut_in(file, home, memory, on)
    elif sandbox or (sandbox is None and file.suffix == PLAN and is_strange(file, home)):
        need_no_workers(asked)
        return run_confined(words(click.get_current_context().params, on), home)
    program = program_of(file, sets, on, tuned, home if asked is None else None)
    need_within(program.compiled, threads or default_threads(), Budget(memory, flop))
    if confined:
        proved(program.compiled)
        compiled()
    reporter = reporter_for(sys.stderr if as_json else sys.stdout, asked.tally if asked else "")
    run = api.run(program, threads=threads, until=until, again=again, progress=reporter, workers=asked)
    if as_json:
        say_json(answer_of(run))
    else:
        click.echo("\n".join(summary(run, program)))
    return INTERRUPTED if run.interrupted else 0


def need_no_workers(asked: Asked | None) -> None:
    """Raises UsageError E0866: what is a stranger's, or is to be confined, does not go to other machines."""
    if asked is not None:
        reason = "a confined run has no workers: they compute in processes that are not shut in"
        raise UsageError("E0866", reason, help="leave out `--workers` and `--ray`; or `--no-sandbox`, if you trust it")


def is_said(option: str) -> bool:
    """Whether the command line has it. Workers and confined processes take processors where it does not say `--on`."""
    return click.get_current_context().get_parameter_source(option) == ParameterSource.COMMANDLINE


def words(given: Mapping[str, Any], on: str) -> list[str]:
    """The command line that was given, as its options were understood."""
    found = ["run", str(given["file"]), *(("--on", on) if is_said("on") or given["file"].suffix != PLAN else ())]
    found += [f"--set={value}" for value in given["sets"]]
    named = {"--threads": "threads", "--until": "until", "--most-memory": "memory", "--most-flop": "flop"}
    valued = {option: given[name] for option, name in named.items()}
    found += [f"{option}={value}" for option, value in valued.items() if value is not None]
    flags = {"--tuned": "tuned", "--again": "again", "--json": "as_json"}
    return found + [option for option, name in flags.items() if given[name]]


def program_of(file: Path, sets: tuple[str, ...], on: str, tuned: bool, home: Home | None) -> api.Program:
    """The program in a job or a plan file. `home`: where a job that was read before may be recalled from."""
    if file.suffix != PLAN:
        return api.compile(spec_of(file, sets) if home is None else known_spec_of(file, sets, home), on, tuned=tuned)
    if sets:
        raise UsageError("E0819", "a plan file is compiled already: nothing can be set in it", help="set it in the job")
    return api.read_plan(file, on=on if is_said("on") else None)


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
