"""From a file or a text to a checked job.

Takes: a `.job` file or its text, values to set, the store. Promises: the job with its data named by whole roots
where they are known here, and the folders its data may lie in. Nothing here compiles or computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.backends.kept import Kept
from jobspec.ir.digest import Digest
from jobspec.ir.errors import CompileError, DataError
from jobspec.ir.job import Job
from jobspec.ir.job import Source as JobSource
from jobspec.ir.later import later
from jobspec.lang.assigned import said
from jobspec.lang.source import Source
from jobspec.remembered import Listening, Questions, key_of, recalled, remember
from jobspec.runtime.start import Weights
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import DataSet, open_set, resolve_root
from jobspec.store.home import Home, beside

if TYPE_CHECKING:
    from jobspec.lang.check import load as load_source
    from jobspec.lang.inline import inlined
    from jobspec.lang.override import overridden
    from jobspec.lang.work import Assumptions
else:
    load_source = later("jobspec.lang.check", "load")
    inlined = later("jobspec.lang.inline", "inlined")
    overridden = later("jobspec.lang.override", "overridden")
    Assumptions = later("jobspec.lang.work", "Assumptions")

#: the store's code for data that is not here
UNKNOWN = "E0401"
#: letters of a hash in full
WHOLE = len("b3:") + 64


@dataclass(frozen=True)
class Spec:
    """A job as it was loaded. `search`: folders its data may lie in, besides the store. `text`: what it was read
    from, values set (None from a plan file); `sets`: those values, as `NAME=VALUE`; `file`: what the text is called;
    `unknown`: data sets that are not here although their number of records decides about steps."""

    job: Job
    search: tuple[Path, ...] = ()
    text: str | None = None
    sets: tuple[str, ...] = ()
    file: str = "<text>"
    unknown: tuple[str, ...] = ()


def read_spec(path: Path, values: Mapping[str, str], home: Home) -> Spec:
    """The job in the file `path`. Raises UsageError, CompileError."""
    return replace(_spec(Source.read(path), values, home, beside(path)), file=path.name)


def known_spec(path: Path, values: Mapping[str, str], home: Home) -> Spec:
    """The same for whoever runs it on this machine: recalled where it was read before, so without places in the text,
    and how a mesh would cut it."""
    source, search = Source.read(path), beside(path)
    kept, key, listening = Kept(home.cache), key_of(source.text, values), Listening(questions(home, search))
    found = recalled(kept, key, listening.questions)
    if found is not None:
        text, job = found
        return replace(_settled(job, home, search), text=text, sets=tuple(said(values)), file=path.name)
    spec, job = _read(source, values, home, search, listening)
    if not spec.unknown and spec.text is not None:
        remember(kept, key, spec.text, job, listening.answers())
    return replace(spec, file=path.name)


def text_spec(text: str, values: Mapping[str, str], home: Home) -> Spec:
    """The job that `text` says; its data comes from the store alone."""
    return _spec(Source.from_bytes("<text>", text.encode()), values, home, ())


def closed_text(path: Path, home: Home) -> str:
    """The job in `path` with its imports written into it: another text, the same job. Raises UsageError,
    CompileError, E0291 where names cannot be told apart."""
    source, search = Source.read(path), beside(path)
    text = inlined(source, Library(home.data(search)))
    closed = Source.from_bytes(f"{path}, inlined", text.encode())
    if _spec(closed, {}, home, search).job != _spec(source, {}, home, search).job:
        reason = f"{path} cannot be written as one file: a layer would be called by another name"
        raise CompileError("E0291", reason, help="label the calls of the library's layers: `a:nn.linear[I O](x)`")
    return text


def _spec(source: Source, values: Mapping[str, str], home: Home, search: tuple[Path, ...]) -> Spec:
    return _read(source, values, home, search, questions(home, search))[0]


def _read(
    source: Source, values: Mapping[str, str], home: Home, search: tuple[Path, ...], asked: Questions | Listening
) -> tuple[Spec, Job]:
    """The spec, and its job as the text has it."""
    meant, assumptions = overridden(source, values) if values else source, Assumptions()
    job = load_source(
        meant, catalog=asked.catalog, fetch=asked.fetch, watcher=assumptions, weights=asked.weights
    )
    unknown = tuple(dict.fromkeys(assumptions.data))
    spec = _settled(job, home, search)
    return replace(spec, text=meant.text, sets=tuple(said(values)), unknown=unknown), job


def _settled(job: Job, home: Home, search: tuple[Path, ...]) -> Spec:
    """The job with the hashes in full that can be told."""
    store = home.data(search)
    known = tuple(_whole(store, used) for used in job.sources)
    start = replace(job.start, root=Weights(home, search).resolve(job.start.root)) if job.start else None
    return Spec(replace(job, sources=known, start=start), search)


def questions(home: Home, search: tuple[Path, ...]) -> Questions:
    """What a text may ask this store."""
    store = home.data(search)
    return Questions(Catalog(store), Library(store), Weights(home, search).shapes)


@dataclass(frozen=True)
class Catalog:
    """Root of a data set → its number of records; None where it is not here."""

    store: BlobStore

    def __call__(self, root: str) -> int | None:
        try:
            return open_set(self.store, resolve_root(self.store, root)).records
        except DataError as error:
            if error.code == UNKNOWN:
                return None
            raise


@dataclass(frozen=True)
class Library:
    """Hash of an imported file → its bytes; None where it is not here."""

    store: BlobStore

    def __call__(self, name: str) -> bytes | None:
        try:
            wanted = Digest.parse(name)
        except ValueError:
            return None
        return self.store.get(wanted) if self.store.has(wanted) else None


def _whole(store: BlobStore, source: JobSource) -> JobSource:
    """The source with its root in full, where a short one can be told."""
    try:
        return replace(source, root=str(resolve_root(store, source.root)))
    except DataError as error:
        if error.code == UNKNOWN:
            return source
        raise


def open_data(spec: Spec, home: Home, more: tuple[Path, ...] = ()) -> dict[str, DataSet]:
    """The job's data sets by source name. Raises DataError naming what is missing or of another form."""
    store = home.data((*spec.search, *more))
    found = {source.name: open_set(store, resolve_root(store, source.root)) for source in spec.job.sources}
    for source in spec.job.sources:
        found[source.name].check_declared(source.kind, source.fields)
    return found


def need_whole_roots(spec: Spec) -> None:
    """Raise DataError where a data set is named by a short root that is not known here, or its epochs decide about
    steps and it is not here: the job has no hash then."""
    for name in spec.unknown:
        help = "add the data, or say `steps` in numbers"
        raise DataError(UNKNOWN, f"`{name}` is not here, and how long its epochs are decides about steps", help=help)
    for source in spec.job.sources:
        try:
            Digest.parse(source.root)
        except ValueError:
            help = "add the data, or write the root in full: `jobspec data ls` shows it"
            raise DataError(UNKNOWN, f"no data set {source.root} is known here", help=help) from None
    if spec.job.start and len(spec.job.start.root) < WHOLE:
        help = "add them with `jobspec weights add FILE`, or write the hash in full"
        raise DataError("E0440", f"no weights {spec.job.start.root} are known here", help=help)
