"""`jobspec data …`: data sets in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from jobspec.commands.options import FILE, json_option, say_json
from jobspec.ir.amounts import in_bytes
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.types import DTYPES
from jobspec.lang.diagnostics import did_you_mean
from jobspec.store.datasets import DataSet, known_roots, open_set, remove_set, resolve_root
from jobspec.store.home import Home, open_home
from jobspec.store.importers.add import AddedSet, add
from jobspec.store.names import drop_names, names_of


@click.group()
def command() -> None:
    """Add, list, verify and remove data sets."""


@command.command("add")
@click.argument("files", nargs=-1, required=True, metavar="[FIELD=]FILE…")
@click.option("--name", help="What `data ls` and the printed line call the set.")
@click.option("--format", "format", help="npy, npz, idx, csv, tsv, text, u16 or u32; told from the file otherwise.")
@click.option("--rows", metavar="FIRST:LAST", help="Only these records; LAST is not included.")
@click.option("--split", metavar="SHARE", help="Two sets: the first SHARE of the records, and the rest.")
@click.option("--label", metavar="COLUMN", help="CSV: this column becomes y, all others x.")
@click.option("--dtype", "dtypes", multiple=True, metavar="FIELD=TYPE", help="An element type of your own choice.")
@click.option("--into", type=FILE, metavar="FOLDER", help="Put the set into FOLDER, to ship it with a job.")
@json_option
def add_command(
    files: tuple[str, ...],
    name: str | None,
    format: str | None,
    rows: str | None,
    split: str | None,
    label: str | None,
    dtypes: tuple[str, ...],
    into: Path | None,
    as_json: bool,
) -> None:
    """Add .npy, .npz, idx, CSV, text or token files. Prints the lines to paste into a job."""
    added = add(
        files,
        open_home(),
        name=name,
        format=format,
        rows=rows,
        split=split,
        label=label,
        dtypes=pairs(dtypes),
        into=into,
    )
    if as_json:
        say_json({"added": [described(item) for item in added]})
        return
    for axes in dict.fromkeys(item.manifest.axes() for item in added):
        if axes:
            click.echo(axes)
    for item in added:
        click.echo(item.line)
    for note in dict.fromkeys(note for item in added for note in item.notes):
        click.echo(f"note: {note}", err=True)


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """`FIELD=TYPE` words as a table."""
    found = {}
    for word in words:
        field, equals, dtype = word.partition("=")
        if not (field and equals and dtype):
            help = f"write FIELD=TYPE, as in `--dtype {field or 'y'}={dtype or 'u8'}`"
            if not equals and word in DTYPES:
                help = f"write FIELD=TYPE, as in `--dtype x={word}`"
            raise UsageError("E0815", f"`--dtype {word}` does not name both a field and a type", help=help)
        found[field] = dtype
    return found


def described(item: AddedSet) -> dict[str, Any]:
    manifest = item.manifest
    lines = {"axes": manifest.axes(), "line": item.line}
    facts = {"name": item.name, "root": str(item.root), **lines, "records": manifest.records}
    return {**facts, "bytes": manifest.nbytes, "notes": item.notes}


@command.command("ls")
@json_option
def ls_command(as_json: bool) -> None:
    """List the data sets in the store, with the lines to paste."""
    home = open_home()
    listed = sorted((listing(home, opened) for opened in opened_sets(home)), key=lambda entry: entry["names"] or ["~"])
    if as_json:
        say_json({"sets": listed})
        return
    for entry in listed:
        size = in_bytes(entry["bytes"])
        lines = [f"# {entry['records']:,} records, {size}", entry["axes"], entry["line"]]
        click.echo("\n".join(line for line in lines if line))
    if not listed:
        click.echo(f"no data sets in {home.data().folder}; `jobspec data add` adds one")


def opened_sets(home: Home) -> list[DataSet]:
    """The sets whose manifests can be read; a damaged one is said and passed over."""
    found = []
    for root in known_roots(home.data()):
        try:
            found.append(open_set(home.data(), root))
        except DataError as error:
            click.echo(str(error), err=True)
    return found


def listing(home: Home, opened: DataSet) -> dict[str, Any]:
    names = [name for name, root in names_of(home).items() if root == opened.root]
    line = f"data {names[0] if names else 'd'} = {opened.manifest.declaration()}"
    facts = {"names": names, "root": str(opened.root), "records": opened.records}
    return {**facts, "bytes": opened.manifest.nbytes, "axes": opened.manifest.axes(), "line": line}


@command.command("verify")
@click.argument("roots", nargs=-1, metavar="[NAME|b3:…]…")
def verify_command(roots: tuple[str, ...]) -> int:
    """Hash every shard of the sets named (default: all). Exit code 5 where one is missing or changed."""
    home, bad = open_home(), 0
    for text in roots or [str(root) for root in known_roots(home.data())]:
        bad += report(home, text)
    return DataError.exit_code if bad else 0


def report(home: Home, text: str) -> bool:
    """Say what is wrong with one set; whether anything is."""
    root, store = text, home.data()
    try:
        root = rooted(home, text)
        opened = open_set(store, resolve_root(store, root))
        problems = list(opened.problems())
    except DataError as error:
        problems = [error]
    for problem in problems:
        click.echo(str(problem), err=True)
    if not problems:
        click.echo(f"ok: {root}: {opened.records:,} records")
    return bool(problems)


@command.command("rm")
@click.argument("root", metavar="NAME|b3:…")
def rm_command(root: str) -> None:
    """Remove a data set from the store. Shards that another set needs stay."""
    home = open_home()
    found = resolve_root(home.data(), rooted(home, root))
    freed = remove_set(home.data(), found)
    drop_names(home, found)
    click.echo(f"removed {found} ({in_bytes(freed)} freed)")


def rooted(home: Home, text: str) -> str:
    """The root that a local name stands for; anything else as it is. Raises DataError E0401 for nearly a name."""
    known = names_of(home)
    near = did_you_mean(text, known)
    if near and text not in known:
        raise DataError("E0401", f"`{text}` names no data set", help=near)
    return str(known.get(text, text))
