"""Adding data: files in, a data set in the store and the line for the job out.

Takes: files, each perhaps with the field it is to be, and how to read and cut them. Promises: all is
read and checked before anything is stored; the same records get the same root, whatever file, name or
order of arguments they came by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.store.blobs import BlobStore
from jobspec.store.files import sweep
from jobspec.store.home import Home
from jobspec.store.importers.content import Content, read_content
from jobspec.store.importers.source import Source, source
from jobspec.store.manifest import NAME, TOKEN, Manifest
from jobspec.store.names import set_name
from jobspec.store.shards import write_table, write_tokens

ROWS = re.compile(r"(\d*):(\d*)")
SHARE = re.compile(r"0?\.\d+")


@dataclass(frozen=True, slots=True)
class AddedSet:
    """A data set in the store. `notes`: values stored in another type than the file's, for people."""

    name: str
    manifest: Manifest
    notes: tuple[str, ...]

    @property
    def root(self) -> Digest:
        return self.manifest.root

    @property
    def line(self) -> str:
        """The line to paste into a job."""
        return f"data {self.name} = {self.manifest.declaration()}"


def add(
    paths: Sequence[str],
    home: Home,
    *,
    name: str | None = None,
    format: str | None = None,
    rows: str | None = None,
    split: str | None = None,
    label: str | None = None,
    dtypes: Mapping[str, str] | None = None,
    into: Path | None = None,
) -> tuple[AddedSet, ...]:
    """Add one data set, or with `split` two (the first share of the records, and the rest).

    paths: `FILE` or `FIELD=FILE`.      rows: `FIRST:LAST`, LAST not included, either may be left out.
    split: the first set's share, as `0.9`; the sets are called NAME_train and NAME_val.
    label: the CSV column that becomes `y`.     dtypes: element types for fields, where the rule's do not suit.
    into: a folder to put the set in (such as `data` beside a job, to ship with it) in place of the store.
    Raises DataError for what the files hold, StoreError where the store cannot be written.
    """
    sources = [source(text, format) for text in paths]
    if not sources:
        raise DataError("E0410", "no file is named", help="write `jobspec data add FILE…`")
    base = _checked_name(name or _name_of(sources))
    content = _cut(read_content(sources, label, dtypes or {}), rows)
    parts = {base: content} if split is None else _split(base, content, split)
    store = home.data() if into is None else BlobStore(into, (), home.files)
    sweep(store.files, store.folder)
    added = tuple(_store(store, part_name, part) for part_name, part in parts.items())
    if into is None:
        for item in added:
            set_name(home, item.name, item.root)
    return added


def _cut(content: Content, rows: str | None) -> Content:
    if rows is None:
        return content
    match = ROWS.fullmatch(rows)
    first = int(match[1] or 0) if match else 0
    last = int(match[2] or content.records) if match else 0
    if not 0 <= first < last <= content.records:
        help = f"write FIRST:LAST within 0:{content.records}; LAST is not included"
        raise DataError("E0422", f"`{rows}` is no range of the {content.records} records", help=help)
    return content.part(first, last)


def _split(base: str, content: Content, share: str) -> dict[str, Content]:
    first = int(Fraction(share) * content.records) if SHARE.fullmatch(share) else 0
    if not 0 < first < content.records:
        help = "write the first set's share as a number between 0 and 1, as 0.9"
        raise DataError("E0422", f"`{share}` does not cut {content.records} records in two", help=help)
    parts = content.part(0, first), content.part(first, content.records)
    return dict(zip((f"{base}_train", f"{base}_val"), parts, strict=True))


def _name_of(sources: Sequence[Source]) -> str:
    """A name from the first file's, as far as the language allows its letters."""
    stem = sources[0].path.name.split(".")[0]
    word = re.sub(r"[^A-Za-z0-9_]+", "_", stem).lower()
    return word if NAME.fullmatch(word) else f"_{word}"


def _checked_name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        help = "a name starts with a lowercase letter and goes on with letters, digits and _"
        raise DataError("E0419", f"`{name}` cannot be the name of a data set", help=help)
    return name


def _store(store: BlobStore, name: str, part: Content) -> AddedSet:
    if part.kind == "tokens":
        manifest = write_tokens(store, part.fields[TOKEN], vocabulary=part.vocabulary)
    else:
        manifest = write_table(store, part.fields)
    return AddedSet(name, manifest, part.notes)
