"""`jobspec new NAME --from SPEC`: a job to start from."""

from __future__ import annotations

from pathlib import Path

import click

from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.parse import parse
from jobspec.lang.source import Source
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import known_roots, load_manifest, save_manifest
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import open_home

SUFFIX = ".job"
#: where shipped jobs lie: in an installed package, in a clone
PLACES = (Path(__file__).parents[1] / "specs", Path(__file__).parents[2] / "specs")


@click.command()
@click.argument("name")
@click.option("--from", "model", default="digits", metavar="SPEC", help="A shipped job: digits (default), …")
def command(name: str, model: str) -> None:
    """Write NAME.job, a copy of a shipped job; data that is shipped with it goes into the store."""
    path = Path(name if name.endswith(SUFFIX) else name + SUFFIX)
    if path.exists():
        raise UsageError("E0816", f"there is a file {path} already", help="choose another name")
    shipped = shipped_job(model)
    text = renamed(Source.read(shipped), path.name.removesuffix(SUFFIX))
    for root in named_roots(text, BlobStore(shipped.parent / "data")):
        copy_set(BlobStore(shipped.parent / "data"), open_home().data(), root)
    write_file(FileLayer(), path, [text.encode()])
    click.echo(f"wrote {path}; train it with `jobspec run {path}`")


def shipped_job(model: str) -> Path:
    """The file of a shipped job. Raises UsageError E0817."""
    found = {path.stem: path for place in PLACES for path in sorted(place.glob(f"*{SUFFIX}"))}
    if model not in found:
        help = did_you_mean(model, found) or f"there are {', '.join(found)}"
        raise UsageError("E0817", f"no job `{model}` is shipped", help=help)
    return found[model]


def renamed(source: Source, name: str) -> str:
    """The text with another name for the job. Raises UsageError E0818 where that is none."""
    if not name.isidentifier() or not name[0].islower():
        help = "begin with a small letter; go on with letters, digits and _"
        raise UsageError("E0818", f"`{name}` cannot name a job", help=help)
    span = parse(source).name.span
    return source.text[: span.start] + name + source.text[span.end :]


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
