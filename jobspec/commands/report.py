"""`jobspec report RUN`: a run as one page of HTML."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import FILE, json_option, say_json, spec_of
from jobspec.ir.codec.job import job_hash
from jobspec.loading import need_whole_roots
from jobspec.reporting import folder_of, report
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import Home, open_home


@click.command()
@click.argument("run", type=FILE)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="What was set when the job was run.")
@click.option("-o", "--output", type=FILE, help="File to write (default: NAME.html here).")
@click.option("--trace", "traces", type=FILE, multiple=True, metavar="FILE", help="What `profile --trace` wrote.")
@json_option
def command(
    run: Path, sets: tuple[str, ...], output: Path | None, traces: tuple[Path, ...], as_json: bool
) -> None:
    """Write a run as one HTML file: curves, timelines, memory, hashes, text; RUN is its folder, or its job's file."""
    home = open_home()
    name, html = report(meant(run, sets, home), traces)
    path = output or Path(f"{name}.html")
    write_file(FileLayer(), path, [html.encode()])
    if as_json:
        say_json({"file": path})
    else:
        click.echo(f"{path}: open it in a browser; it needs nothing else")


def meant(run: Path, sets: tuple[str, ...], home: Home) -> RunFolder:
    """The run's folder. Raises UsageError, CompileError, DataError for a job that cannot be read."""
    if (found := folder_of(run, home)) and not sets:
        return found
    spec = spec_of(run, sets, home)
    need_whole_roots(spec)
    return run_folder(home, job_hash(spec.job))
