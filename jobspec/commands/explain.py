"""`jobspec explain CODE`: an error at length; without CODE, all of them in a line each."""

from __future__ import annotations

import click

from jobspec.lang.explain import explain, overview


@click.command()
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain an error code, as E0212: what it means, a wrong and a right example. Without CODE: list all codes."""
    click.echo(explain(code) if code else overview())
