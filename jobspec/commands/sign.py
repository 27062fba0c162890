"""`jobspec sign RECEIPT --key FILE`: put a name under a receipt."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec import api
from jobspec.commands.options import FILE, json_option, say_json
from jobspec.commands.verify import meant


@click.command()
@click.argument("receipt", type=FILE)
@click.option("--key", type=FILE, required=True, metavar="PEM", help="A private key: Ed25519, ECDSA or RSA.")
@json_option
def command(receipt: Path, key: Path, as_json: bool) -> int:
    """Sign a receipt, or that in a run's folder: an in-toto statement in a DSSE envelope beside it."""
    written = api.sign(meant(receipt), key)
    if as_json:
        say_json({"envelope": written})
    else:
        click.echo(str(written))
    return 0
