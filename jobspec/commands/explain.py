"""`jobspec explain CODE`: an error at length."""

from __future__ import annotations

import click

from jobspec.lang.explain import explain


@click.command()
@click.argument("code")
def command(code: str) -> None:
    """Explain an error code, as E0212."""
    click.echo(explain(code))
