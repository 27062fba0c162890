"""`jobspec store …`: what lies in the store, and its way to other stores."""

from __future__ import annotations

from typing import Any

import click

from jobspec.commands.options import json_option, say_json
from jobspec.commands.wanted import Here, There, wanted
from jobspec.ir.amounts import in_bytes
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.runtime import keeping, transfer
from jobspec.runtime.transfer import Moved
from jobspec.store.home import open_home
from jobspec.store.remote import Remote


@click.group()
def command() -> None:
    """List, check and clear the store; push data and runs to other stores, pull them from there."""


@command.command("ls")
@json_option
def ls_command(as_json: bool) -> None:
    """List the runs in the store. `jobspec data ls` lists the data."""
    home = open_home()
    found = keeping.runs(home)
    if as_json:
        say_json({"folder": home.folder, "runs": [described(kept) for kept in found]})
        return
    for kept in found:
        state = "done" if kept.closed else f"{kept.steps:,} of {kept.of:,} steps"
        click.echo(f"{kept.job.short}  {kept.name:<24} {state:<24} {in_bytes(kept.bytes)}")
    if not found:
        click.echo(f"no runs in {home.folder}")


def described(kept: keeping.Kept) -> dict[str, Any]:
    facts = {"job": str(kept.job), "name": kept.name, "steps": kept.steps, "of": kept.of}
    return {**facts, "closed": kept.closed, "bytes": kept.bytes}


@command.command("verify")
def verify_command() -> int:
    """Hash everything in the store. Exit code 5 where something is missing or changed."""
    problems = list(keeping.problems(open_home()))
    for problem in problems:
        click.echo(str(problem), err=True)
    if not problems:
        click.echo("ok: every blob hashes to its name, and none is missing")
    return DataError.exit_code if problems else 0


@command.command("gc")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def gc_command(dry_run: bool, as_json: bool) -> None:
    """Remove what nothing needs. That is torn drafts, loose blobs of runs, compiled code."""
    home = open_home()
    found = list(keeping.waste(home)) if dry_run else keeping.clear(home)
    if as_json:
        say_json({"removed": [{"path": w.path, "bytes": w.bytes, "why": w.why} for w in found], "dry_run": dry_run})
        return
    for why in dict.fromkeys(w.why for w in found):
        these = [w for w in found if w.why == why]
        click.echo(f"{len(these)} files, {in_bytes(sum(w.bytes for w in these))}: {why}")
    click.echo("nothing is removed without need" if not found else "would go" if dry_run else "gone")


@command.command("push")
@click.argument("url")
@click.argument("what", nargs=-1, metavar="[NAME|b3:…|FILE.job]…")
@json_option
def push_command(url: str, what: tuple[str, ...], as_json: bool) -> None:
    """Send data sets and runs (default: all) to the store at URL. What is there already stays."""
    home, remote = open_home(), Remote(url)
    found = wanted(home, Here(home), what)
    told = [(root, transfer.push_set(home, remote, root, beside)) for root, beside in found.sets.items()]
    told += [(name, transfer.push_file(home, remote, name, beside)) for name, beside in found.files.items()]
    told += [(job, transfer.push_run(home, remote, job)) for job in found.runs]
    say_moved(told, "sent", found.left, as_json)
    if not told and not as_json:
        click.echo(f"there is nothing to send in {home.folder}: `jobspec data add` and `run` put something there")


@command.command("pull")
@click.argument("url")
@click.argument("what", nargs=-1, metavar="[NAME|b3:…|FILE.job]…")
@json_option
def pull_command(url: str, what: tuple[str, ...], as_json: bool) -> None:
    """Fetch data sets and runs (default: all) from the store at URL. All is hashed on arrival."""
    home, remote = open_home(), Remote(url)
    found = wanted(home, There(remote), what)
    told = [(root, transfer.pull_set(home, remote, root)) for root in found.sets]
    told += [(name, transfer.pull_file(home, remote, name)) for name in found.files]
    told += [(job, transfer.pull_run(home, remote, job)) for job in found.runs]
    say_moved(told, "fetched", found.left, as_json)
    if not told and not as_json:
        click.echo(f"there is nothing to fetch at {remote.shown}: `jobspec store push` puts something there")


def say_moved(told: list[tuple[Digest, Moved]], verb: str, left: list[str], as_json: bool) -> None:
    for what in left:
        click.echo(f"note: left out: {what}", err=True)
    if as_json:
        rows = [{"hash": str(name), "files": m.sent, "kept": m.kept, "bytes": m.bytes} for name, m in told]
        say_json({verb: rows, "left": left})
        return
    for name, moved in told:
        size = in_bytes(moved.bytes)
        click.echo(f"{name.short}  {moved.sent} files {verb} ({size}), {moved.kept} there already")
