"""`jobspec fmt FILE…`: the one style; with `--inline`, one file that imports nothing."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.commands.options import FILE
from jobspec.ir.errors import UsageError
from jobspec.lang.format import format_source
from jobspec.lang.source import Source
from jobspec.loading import closed_text
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import open_home


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 where a file is not in the style.")
@click.option("--inline", "inline", is_flag=True, help="Print FILE with its imports written in; FILE stays as it is.")
@click.option("-o", "--output", type=FILE, help="With --inline: the file to write in place of printing.")
def command(files: tuple[Path, ...], only_check: bool, inline: bool, output: Path | None) -> int:
    """Write files anew in the one style. The meaning and the comments stay as they are."""
    if inline:
        return write_closed(files, only_check, output)
    if output is not None:
        raise UsageError("E0821", "`-o` goes with `--inline`", help="without it, fmt writes each file in its place")
    changed = [file for file in files if reformat(file, write=not only_check)]
    for file in changed:
        click.echo(f"{'would change' if only_check else 'changed'} {file}")
    return 1 if only_check and changed else 0


def write_closed(files: tuple[Path, ...], only_check: bool, output: Path | None) -> int:
    """The closed text of the one file, printed or written."""
    if len(files) != 1 or only_check:
        help = "as in `jobspec fmt --inline a.job -o closed.job`"
        raise UsageError("E0821", "`--inline` takes one file and no `--check`", help=help)
    text = closed_text(files[0], open_home())
    if output is None:
        click.echo(text, nl=False)
    else:
        write_file(FileLayer(), output, [text.encode()])
    return 0


def reformat(file: Path, *, write: bool) -> bool:
    """Whether the file was not in the style."""
    source = Source.read(file)
    text = format_source(source)
    if text == source.text:
        return False
    if write:
        write_file(FileLayer(), file, [text.encode()])
    return True
