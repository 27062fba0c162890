"""`jobspec estimate FILE --on CLUSTER`: what training would take on a cluster, before anyone rents it."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import job_argument, json_option, say_json, spec_of
from jobspec.estimating.cluster import read_cluster
from jobspec.scaling import scale_of
from jobspec.shipped import cluster_file


@click.command()
@job_argument
@click.option("--on", "on", required=True, metavar="CLUSTER", help="Its description: a TOML file, or a shipped one.")
@json_option
def command(file: Path, sets: tuple[str, ...], on: str, as_json: bool) -> None:
    """Say what training takes on a cluster: step time, memory, hours, price. Nothing runs."""
    cluster = read_cluster(cluster_file(on))
    scale = scale_of(spec_of(file, sets), cluster)
    if as_json:
        say_json(scale.as_dict())
    else:
        click.echo(str(scale))
