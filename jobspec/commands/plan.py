"""`jobspec plan FILE`: what a run takes, before anything runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from jobspec.backends.registry import backend
from jobspec.commands.options import (
    backend_option,
    job_argument,
    json_option,
    read_size,
    say_json,
    spec_of,
    threads_option,
)
from jobspec.fitting import Search
from jobspec.ir.amounts import in_bytes
from jobspec.ir.errors import JobspecError
from jobspec.loading import Spec
from jobspec.planning import Report, report_of
from jobspec.runtime.engine import default_threads
from jobspec.runtime.forecast import machine_memory, too_large


@click.command()
@job_argument
@backend_option
@threads_option
@click.option(
    "--memory", callback=read_size, metavar="SIZE", help="What it must fit into, as `16G` (default: all there is)."
)
@json_option
def command(file: Path, sets: tuple[str, ...], on: str, threads: int | None, memory: int | None, as_json: bool) -> None:
    """Say what a run takes: steps, operations, memory, and which lines take it. Nothing runs."""
    limit = machine_memory() if memory is None else memory
    begun = time.perf_counter()
    spec = spec_of(file, sets)
    report = report_of(spec, on, threads or default_threads(), limit, begun)
    if as_json:
        say_json(report.as_dict())
    else:
        click.echo(str(report))
    if not report.fits:
        raise refused(spec, report, file, sets, on)


def refused(spec: Spec, report: Report, file: Path, sets: tuple[str, ...], on: str) -> JobspecError:
    def read(more: Mapping[str, str]) -> Spec:
        return spec_of(file, (*sets, *(f"{name}={value}" for name, value in more.items())))

    limit = report.limit
    found = Search(spec, report.plan, report.taken, backend(on), limit, read).found()
    state = report.memory.checkpoint
    if found:
        help = "each of these fits by itself: " + ", ".join(f"`--set {setting}`" for setting in found)
    elif 2 * state > limit:
        help = f"the state alone is {in_bytes(state)}: make several dims smaller"
    else:
        help = "make several dims smaller"
    return too_large(report.memory, limit, help)
