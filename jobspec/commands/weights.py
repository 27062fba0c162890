"""`jobspec weights …`: weights that jobs begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from jobspec.commands.options import FILE, json_option, say_json, spec_of
from jobspec.ir.errors import DataError, UsageError
from jobspec.runtime.export import taken_over
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.runtime.safetensors import SafetensorsError, stored_tensors, widened
from jobspec.runtime.start import Weights
from jobspec.store import checkpoint
from jobspec.store.blobs import BlobStore
from jobspec.store.files import FileLayer, explained
from jobspec.store.home import open_home


@click.group()
def command() -> None:
    """Add weights to start from, and list what is in them."""


@command.command("add")
@click.argument("file", type=FILE)
@click.option("--into", type=FILE, metavar="FOLDER", help="Put them into FOLDER, to ship them with a job.")
@click.option("--names", metavar="TABLE", help="The file has another program's names: gpt2, llama (Hugging Face).")
@click.option("--for", "job", type=FILE, metavar="JOB", help="With --names: the job that begins with them.")
@json_option
def add_command(file: Path, into: Path | None, names: str | None, job: Path | None, as_json: bool) -> None:
    """Copy a safetensors file into the store. Prints the line to paste into a job."""
    home = open_home()
    if not file.is_file():
        raise UsageError("E0801", f"there is no file {file}", help="give the path of a safetensors file")
    count = len(checked(file))
    store = BlobStore(into, (), home.files) if into else home.data()
    name = store.put_chunks(renamed(file, names, job)) if names or job else store.put_file(file)
    if as_json:
        say_json({"hash": str(name), "tensors": count, "line": f"start = {name}"})
    else:
        click.echo(f"start = {name}")


def renamed(file: Path, names: str | None, job: Path | None) -> Iterator[bytes | memoryview]:
    """The file with the names and shapes of `job`. Raises UsageError, DataError."""
    if names is None or job is None:
        raise UsageError("E0841", "`--names` and `--for` go together", help="as in `--names gpt2 --for FILE.job`")
    with explained("read", file):
        held = stored_tensors(file.read_bytes())[0]
    floats = {name: widened(stored) for name, stored in held.items() if stored.dtype in ("F32", "F16", "BF16")}
    return taken_over(spec_of(job, ()).job, names, floats)


def checked(file: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of the tensors in the file. Raises DataError."""
    with explained("read", file):
        data = file.read_bytes()
    try:
        return {name: stored.shape for name, stored in stored_tensors(data)[0].items()}
    except SafetensorsError as error:
        raise DataError("E0442", f"{file} is no safetensors file: {error}", help="export it as safetensors") from error


@command.command("show")
@click.argument("root", metavar="b3:…|FILE|RUN")
@json_option
def show_command(root: str, as_json: bool) -> None:
    """List the tensors of weights: in the store, in a state that a run keeps, in a file, in a run's folder."""
    shapes = shapes_of(root)
    if as_json:
        say_json({"tensors": {name: list(shape) for name, shape in shapes.items()}})
        return
    for name, shape in shapes.items():
        click.echo(f"{name}  {' × '.join(map(str, shape)) or 'one number'}")


def shapes_of(root: str) -> dict[str, tuple[int, ...]]:
    if Path(root).is_dir():
        return in_folder(RunFolder(Path(root), FileLayer()))
    if Path(root).is_file():
        return checked(Path(root))
    return {name: shape for name, (shape, _) in Weights(open_home()).open(root).items()}


def in_folder(folder: RunFolder) -> dict[str, tuple[int, ...]]:
    """Of a run: its weights, or the newest state of one that is not finished. Raises UsageError, DataError."""
    if folder.weights.is_file():
        return checked(folder.weights)
    saved = read_history(folder).saved if folder.log.is_file() else []
    if not saved:
        help = "name the folder of a run that has a checkpoint: `jobspec run` prints where it lies"
        raise UsageError("E0890", f"there are no weights of a run in {folder.path}", help=help)
    return {tensor.name: tensor.type.shape for tensor in checkpoint.read(folder.states, saved[-1].name).tensors}
