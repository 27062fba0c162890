"""`jobspec verify RECEIPT`: is it true."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, backend_option, json_option, say_json, spec_of, threads_option
from jobspec.runtime.progress import reporter_for


@click.command()
@click.argument("receipt", type=FILE)
@click.option("--job", "job", type=FILE, help="The job, where the receipt stands alone.")
@click.option("--data", "data", type=FILE, multiple=True, help="A folder to look for data in.")
@backend_option
@threads_option
@json_option
def command(
    receipt: Path, job: Path | None, data: tuple[Path, ...], on: str, threads: int | None, as_json: bool
) -> int:
    """Replay a receipt's job in full and compare every field, and the weights beside it."""
    spec = spec_of(job, ()) if job else None
    reporter = reporter_for(sys.stderr if as_json else sys.stdout)
    verdict = api.verify(receipt, on, job=spec, threads=threads, data=data, progress=reporter)
    if as_json:
        say_json({"verdict": verdict.word, "reasons": verdict.reasons, "checked": verdict.checked})
    else:
        click.echo(str(verdict))
    return verdict.exit_code
