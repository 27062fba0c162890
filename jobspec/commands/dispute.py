"""`jobspec dispute A B`: where two runs of one job part, and which is wrong."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, backend_option, json_option, say_json, threads_option

#: exit code where one of the runs is wrong
WRONG = 4


@click.command()
@click.argument("one")
@click.argument("other")
@click.option("--data", "data", type=FILE, multiple=True, help="A folder to look for data in.")
@backend_option
@threads_option
@json_option
def command(one: str, other: str, data: tuple[Path, ...], on: str, threads: int | None, as_json: bool) -> int:
    """Settle between two runs, by record, step, operation and element; ONE and OTHER are folders, or URLs of such."""
    found = api.dispute(one, other, on=on, threads=threads, data=data)
    if as_json:
        say_json(asdict(found))
    else:
        click.echo(str(found))
    return WRONG if found.wrong else 0
