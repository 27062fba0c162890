"""`jobspec new NAME --from SPEC`: a job to start from."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.lang import tree
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.runtime.start import Weights
from jobspec.shipped import SUFFIX, data_of, listed, made_small, shipped_job
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import known_roots, load_manifest, save_manifest
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import Home, open_home


@click.command()
@click.argument("name", required=False)
@click.option("--from", "model", default="digits", metavar="SPEC", help="A shipped job (default: digits).")
@click.option("--tiny", is_flag=True, help="Its small version, which trains in seconds on data that is shipped.")
@click.option("--list", "only_list", is_flag=True, help="List the shipped jobs.")
def command(name: str | None, model: str, tiny: bool, only_list: bool) -> None:
    """Write NAME.job, a copy of a shipped job; data that is shipped with it goes into the store."""
    if only_list:
        click.echo("\n".join(listed()))
        return
    if name is None:
        raise UsageError("E0818", "the new job has no name", help="as in `jobspec new mine --from digits`")
    path = Path(name if name.endswith(SUFFIX) else name + SUFFIX)
    if path.exists():
        raise UsageError("E0816", f"there is a file {path} already", help="choose another name")
    shipped = shipped_job(model)
    text = renamed(made_small(shipped) if tiny else Source.read(shipped), path.name.removesuffix(SUFFIX))
    home = open_home()
    store = home.data()
    for root in named_roots(text, data_of(shipped)):
        copy_set(data_of(shipped), store, root)
    write_file(FileLayer(), path, [text.encode()])
    missing = [*missing_data(text, store), *missing_weights(text, home)]
    click.echo("\n".join([f"wrote {path}; train it with `jobspec run {path}`", *missing]))


def renamed(source: Source, name: str) -> str:
    """The text with another name for the job. Raises UsageError E0818 where that is none."""
    if not name.isidentifier() or not name[0].islower() or not name.isascii():
        help = "begin with a small letter; go on with letters, digits and _"
        raise UsageError("E0818", f"`{name}` cannot name a job", help=help)
    span = parse(source).name.span
    return source.text[: span.start] + name + source.text[span.end :]


def missing_data(text: str, store: BlobStore) -> list[str]:
    """What to do for data that the text names and the store lacks."""
    found = [item for item in parse(Source("new.job", text)).items if isinstance(item, tree.DataDef)]
    here = {str(root) for root in known_roots(store)}
    lacking = [item for item in found if roots_in(item) - here]
    if not lacking:
        return []
    shown = (f"  {item.span.source.text[item.span.start : item.span.end]}" for item in lacking)
    return [
        "it needs data that is not here:",
        *shown,
        "`jobspec data add FILE…` adds yours and prints the line to put there",
    ]


def missing_weights(text: str, home: Home) -> list[str]:
    """What to do for weights that the text begins with and nothing here has."""
    sections = [item for item in parse(Source("new.job", text)).items if isinstance(item, tree.Section)]
    named = sorted(root for section in sections for root in roots_in(section))
    known = Weights(home)
    return [
        f"it begins with the weights {root}, which are not here: train the job that ends with them (docs/specs.md)"
        for root in named
        if known.shapes(root) is None
    ]


def roots_in(item: tree.Node) -> set[str]:
    return {node.text for node in tree.walk(item) if isinstance(node, tree.Hash)}


def named_roots(text: str, store: BlobStore) -> list[Digest]:
    """The data sets in `store` that the text names."""
    return [root for root in known_roots(store) if str(root) in text]


def copy_set(source: BlobStore, target: BlobStore, root: Digest) -> None:
    """Copy a data set, every blob checked on the way."""
    manifest = load_manifest(source, root)
    for shard in manifest.shards:
        for piece in shard.pieces:
            target.put(source.map(piece.name))
    save_manifest(target, manifest)
