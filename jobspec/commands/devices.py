"""`jobspec devices`: what can run a job here, and why something may not."""

from __future__ import annotations

import click

from jobspec.backends.registry import Found, surveyed
from jobspec.commands.options import json_option, say_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List backends and devices. A device is examined once; it is refused by the clause that it fails."""
    found = list(surveyed())
    if as_json:
        say_json({"devices": [told(device) for device in found]})
        return
    for device in found:
        click.echo(f"{device.backend:<10} {'yes' if not device.wrong else 'no ':<4} {device.name}")
        for clause, seen in device.wrong[:3]:
            click.echo(f"{'':<15} {clause}: {seen}")
        if len(device.wrong) > 3:
            click.echo(f"{'':<15} and {len(device.wrong) - 3} clauses more")


def told(device: Found) -> dict[str, object]:
    wrong = [{"clause": clause, "seen": seen} for clause, seen in device.wrong]
    return {"backend": device.backend, "name": device.name, "admitted": not wrong, "refused": wrong}
