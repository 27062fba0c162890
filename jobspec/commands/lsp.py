"""`jobspec lsp`: the language server, for editors."""

from __future__ import annotations

from collections.abc import Callable

import click

from jobspec.editor.index import World
from jobspec.ir.errors import UsageError
from jobspec.loading import Catalog, Library
from jobspec.store.home import open_home

serve: Callable[[World], None] | None
try:
    from jobspec.editor.server import serve
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] not in ("pygls", "lsprotocol"):
        raise
    serve = None


@click.command()
@click.option("--stdio", is_flag=True, hidden=True, help="What editors say by habit; there is no other way.")
def command(stdio: bool) -> None:
    """Answer an editor's questions on standard input and output (docs/editor.md)."""
    if serve is None:
        raise UsageError("E0830", "the language server needs the package pygls", help="pip install 'jobspec[lsp]'")
    store = open_home().data()
    serve(World(Catalog(store), Library(store)))
