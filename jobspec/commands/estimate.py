"""`jobspec estimate FILE --on CLUSTER`: what training would take on a cluster, before anyone rents it."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import FILE, job_argument, json_option, say_json, spec_of
from jobspec.estimating.cluster import read_cluster
from jobspec.scaling import scale_of


@click.command()
@job_argument
@click.option("--on", "on", type=FILE, required=True, metavar="CLUSTER", help="A description of the cluster (TOML).")
@json_option
def command(file: Path, sets: tuple[str, ...], on: Path, as_json: bool) -> None:
    """Say what training takes on a cluster: step time, memory, hours, price. Nothing runs."""
    cluster = read_cluster(on)
    scale = scale_of(spec_of(file, sets), cluster)
    if as_json:
        say_json(scale.as_dict())
    else:
        click.echo(str(scale))
