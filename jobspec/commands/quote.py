"""`jobspec quote FILE --offers FILE`: which offer runs a job for least, which soonest, and why another cannot."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import FILE, job_argument, json_option, say_json, spec_of
from jobspec.estimating.cluster import read_cluster
from jobspec.estimating.offers import TIERS, read_offers
from jobspec.ir.errors import JobspecError
from jobspec.quoting import ORDERS, Quotes, quotes
from jobspec.shipped import cluster_file


@click.command()
@job_argument
@click.option("--offers", type=FILE, required=True, metavar="FILE", help="Offers, as TOML or JSON.")
@click.option("--tier", type=click.Choice(TIERS), help="The least that will do; docs/estimate.md.")
@click.option("--by", type=click.Choice(ORDERS), default="cost", help="What comes first (default: cost).")
@json_option
def command(file: Path, sets: tuple[str, ...], offers: Path, tier: str | None, by: str, as_json: bool) -> None:
    """Rank providers' offers for a job by cost and time. Nothing runs."""
    offered = read_offers(offers, lambda name: read_cluster(cluster_file(name, offers.parent)))
    found = quotes(spec_of(file, sets), offered, tier, by)
    if as_json:
        say_json(found.as_dict())
    else:
        click.echo(str(found))
    if not found.ranked:
        raise nobody(found)


def nobody(found: Quotes) -> JobspecError:
    count = len(found.refused)
    who = f"none of the {count} offers can" if count > 1 else "the offer cannot"
    reason = f"{who} run {found.job.name}"
    help = 'another mesh may fit: `--set "run.mesh=[tp=8, dp=8]"`; more pieces take less memory: `--set train.shards=B`'
    return JobspecError("E0877", reason, help=help)
