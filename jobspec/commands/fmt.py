"""`jobspec fmt FILE…`: the one style."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import FILE
from jobspec.lang.format import format_source
from jobspec.lang.source import Source
from jobspec.store.files import FileLayer, write_file


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 where a file is not in the style.")
def command(files: tuple[Path, ...], only_check: bool) -> int:
    """Write files anew in the one style. The meaning and the comments stay as they are."""
    changed = [file for file in files if reformat(file, write=not only_check)]
    for file in changed:
        click.echo(f"{'would change' if only_check else 'changed'} {file}")
    return 1 if only_check and changed else 0


def reformat(file: Path, *, write: bool) -> bool:
    """Whether the file was not in the style."""
    source = Source.read(file)
    text = format_source(source)
    if text == source.text:
        return False
    if write:
        write_file(FileLayer(), file, [text.encode()])
    return True
