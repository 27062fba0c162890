"""`jobspec trace RUN --step N`: digests of every operation of a step."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, backend_option, json_option, say_json, threads_option


@click.command()
@click.argument("run", type=FILE)
@click.option("--step", type=click.IntRange(0), required=True, metavar="N", help="The step, counted from 0.")
@click.option("--values", is_flag=True, help="Keep the bytes of every value, which a dispute about one needs.")
@click.option("--data", "data", type=FILE, multiple=True, help="A folder to look for data in.")
@backend_option
@threads_option
@json_option
def command(
    run: Path, step: int, values: bool, data: tuple[Path, ...], on: str, threads: int | None, as_json: bool
) -> int:
    """Compute a run's segment again, state by state, and one step of it, operation by operation; RUN is its folder."""
    written = api.trace(run, step, values=values, on=on, threads=threads, data=data)
    if as_json:
        say_json({"files": written})
    else:
        click.echo("\n".join(map(str, written)))
    return 0
