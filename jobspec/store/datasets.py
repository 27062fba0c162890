"""Data sets: records by number, out of shards that are checked before they are used.

Takes: a store and a data root. Promises: every byte handed out belongs to a shard that hashes to what
the root says; shards are mapped, not loaded. A shard that is missing, cut or changed is a DataError
naming the data set, the shard, the records, the file and, where it can be known, the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from jobspec.ir.digest import PREFIX, Digest
from jobspec.ir.errors import DataError
from jobspec.ir.types import Type
from jobspec.store.blobs import BlobDamaged, BlobMissing, BlobStore
from jobspec.store.dtypes import NUMPY, Array
from jobspec.store.files import explained, write_file
from jobspec.store.manifest import LIMITS, Manifest, Piece, from_bytes

SUFFIX = ".manifest"
MANIFEST = re.compile(r"([0-9a-f]{64})\.manifest")
ROOT_TEXT = re.compile(r"b3:[0-9a-f]{8,64}")
#: shards of one data set kept mapped (each holds a file descriptor)
MAPPED = 256


class DataSet:
    """The data set of `manifest`, read from `store`. Made by `open_set`."""

    def __init__(self, store: BlobStore, manifest: Manifest) -> None:
        self.store = store
        self.manifest = manifest
        self.fields: dict[str, Type] = dict(manifest.fields)
        self._columns = {name: column for column, name in enumerate(self.fields)}
        self._mapped = lru_cache(MAPPED)(self._map)

    @property
    def root(self) -> Digest:
        return self.manifest.root

    @property
    def records(self) -> int:
        return self.manifest.records

    def shard(self, field: str, number: int) -> Array:
        """Shard `number` of `field`, read-only and mapped: [records of the shard, *shape]. Raises DataError."""
        if number + 1 < len(self.manifest.shards):
            self.store.ahead(self.manifest.shards[number + 1].pieces[self._columns[field]].name)
        return self._mapped(field, number)

    def take(self, field: str, indices: Array) -> Array:
        """Records of `field` by number: a new array [*indices.shape, *shape]. Raises IndexError for a number
        outside 0 … records-1, DataError for a bad shard."""
        wanted = self._checked(indices)
        if len(self.manifest.shards) == 1:
            return self.shard(field, 0)[wanted]
        type = self.fields[field]
        found = np.empty(wanted.shape + type.shape, NUMPY[type.dtype])
        shards, places = np.divmod(wanted, self.manifest.shard_records)
        for number in np.unique(shards):
            here = shards == number
            found[here] = self.shard(field, int(number))[places[here]]
        return found

    def windows(self, starts: Array, length: int) -> Array:
        """Runs of a token set: [n, length], row i the tokens starts[i] … starts[i]+length-1."""
        (field,) = self.fields
        return self.take(field, np.asarray(starts, np.int64)[:, None] + np.arange(length))

    def array(self, field: str) -> Array:
        """The whole of `field`: [records, *shape]; mapped where it is one shard, else a copy."""
        parts = [self.shard(field, number) for number in range(len(self.manifest.shards))]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def problems(self) -> Iterator[DataError]:
        """Hash every shard; what is wrong, in order."""
        for number in range(len(self.manifest.shards)):
            for field in self.fields:
                try:
                    self._map(field, number)
                except DataError as error:
                    yield error

    def verify(self) -> None:
        """Hash every shard. Raises DataError for the first bad one."""
        for error in self.problems():
            raise error

    def check_declared(self, kind: str, fields: Iterable[tuple[str, Type]]) -> None:
        """Raise DataError unless a job that declares `kind` and `fields` (some or all) means this data set."""
        unlike = self._unlike(kind, fields)
        if unlike:
            axes = f", with `{self.manifest.axes()}`" if self.manifest.axes() else ""
            reason = f"the data set {self.root.short} is not what the job declares it to be: {unlike}"
            raise DataError("E0407", reason, help=f"declare it as `{self.manifest.declaration()}`{axes}")

    def _unlike(self, kind: str, fields: Iterable[tuple[str, Type]]) -> str:
        """The first thing in which a declaration differs from the set, in words; none where it fits."""
        if kind != self.manifest.kind:
            return f"it is {'a table' if kind == 'tokens' else 'one long row of tokens'}"
        for name, type in fields:
            mine = self.fields.get(name)
            if mine is None:
                return f"it has no field `{name}`"
            if mine != type:
                return f"in a record `{name}` is {mine}, and not {type}"
        return ""

    def _checked(self, indices: Array) -> Array:
        wanted = np.asarray(indices, np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < self.records):
            raise IndexError(f"a record number outside 0..{self.records - 1}")
        return wanted

    def _map(self, field: str, number: int) -> Array:
        type = self.fields[field]
        raw = self._verified(field, number)
        return np.frombuffer(raw, NUMPY[type.dtype]).reshape(-1, *type.shape)

    def _verified(self, field: str, number: int) -> memoryview:
        piece = self.manifest.shards[number].pieces[self._columns[field]]
        try:
            self._check_size(field, number, piece)
            return self.store.map(piece.name)
        except BlobMissing as error:
            reason = f"{self._place(field, number)} is missing: no blob {piece.name}"
            raise DataError("E0403", reason, help=error.help) from error
        except BlobDamaged as error:
            reason = f"{self._place(field, number)} is changed: {error.path}, in bytes 0..{piece.size - 1}, "
            reason += f"hashes to {error.actual} where {piece.name} is expected"
            raise DataError("E0404", reason, help=error.help) from error

    def _check_size(self, field: str, number: int, piece: Piece) -> None:
        path = self.store.path(piece.name)
        with explained("read", path):
            size = self.store.files.status(path).st_size
        if size == piece.size:
            return
        reason = f"{self._place(field, number)} has the wrong size: {path} holds {size} of {piece.size} bytes"
        if size < piece.size:
            reason += f", {self._lost(field, number, size)}"
        raise DataError("E0405", reason, help="delete this file and put a good copy in its place")

    def _lost(self, field: str, number: int, size: int) -> str:
        """Which bytes and records a shard cut to `size` bytes no longer has."""
        end = self.manifest.shards[number].pieces[self._columns[field]].size
        first = number * self.manifest.shard_records + size // self.fields[field].nbytes
        return f"bytes {size}..{end - 1} (from record {first} on) are gone"

    def _place(self, field: str, number: int) -> str:
        shards = self.manifest.shards
        first = number * self.manifest.shard_records
        last = first + shards[number].records - 1
        where = f"shard {number} of {len(shards)} (field `{field}`, records {first}..{last})"
        return f"data set {self.root.short}: {where}"


def open_set(store: BlobStore, root: Digest) -> DataSet:
    """The data set `root`. Raises DataError where its manifest is unknown or damaged; shards are read later."""
    manifest = load_manifest(store, root)
    store.expect({piece.name: piece.size for shard in manifest.shards for piece in shard.pieces})
    return DataSet(store, manifest)


def save_manifest(store: BlobStore, manifest: Manifest) -> Path:
    """Write the manifest to the store's own folder, after its shards."""
    path = store.folder / (manifest.root.hex + SUFFIX)
    write_file(store.files, path, [manifest.to_bytes()])
    return path


def load_manifest(store: BlobStore, root: Digest) -> Manifest:
    """The manifest whose root is `root`. Raises DataError."""
    path = _manifest_path(store, root)
    with explained("read", path):
        data = store.files.read(path, LIMITS.size + 1)
    try:
        manifest = from_bytes(data)
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if manifest.root != root:
        raise _damaged(path, f"its contents have the root {manifest.root}")
    return manifest


def known_roots(store: BlobStore) -> list[Digest]:
    """Roots of the manifests in all of the store's folders, in order, each once."""
    names = {name for folder in store.folders for name in store.files.names(folder)}
    found = (MANIFEST.fullmatch(name) for name in names)
    return sorted(Digest(bytes.fromhex(match[1])) for match in found if match)


def resolve_root(store: BlobStore, text: str) -> Digest:
    """The root that `text`, `b3:` and 8 to 64 hex digits, stands for; 64 digits need not be known here.
    Raises DataError where a shorter one begins no known root, or several."""
    if ROOT_TEXT.fullmatch(text) is None:
        help = "write `b3:` and 8 to 64 hex digits, or a name that `jobspec data ls` shows"
        raise DataError("E0401", f"`{text}` names no data set", help=help)
    if len(text) == len(PREFIX) + 64:
        return Digest.parse(text)
    fitting = [root for root in known_roots(store) if str(root).startswith(text)]
    if len(fitting) > 1:
        several = ", ".join(map(str, fitting))
        raise DataError("E0406", f"`{text}` begins several data sets: {several}", help="write more digits")
    if not fitting:
        raise _unknown(store, text)
    return fitting[0]


def remove_set(store: BlobStore, root: Digest) -> int:
    """Remove the data set from the store's own folder, with the shards that no other set there needs;
    the bytes freed (none where its manifest is damaged). Raises DataError where the own folder lacks it."""
    own = BlobStore(store.folder, (), store.files)
    path = _manifest_path(own, root)
    others = [load_manifest(own, other) for other in known_roots(own) if other != root]
    spare = _pieces_or_none(own, root).difference(*map(_pieces, others))
    with explained("remove", path):
        store.files.remove(path)
    freed = [piece for piece in spare if own.has(piece.name)]
    for piece in freed:
        own.remove(piece.name)
    return sum(piece.size for piece in freed)


def _pieces_or_none(store: BlobStore, root: Digest) -> set[Piece]:
    try:
        return _pieces(load_manifest(store, root))
    except DataError:
        return set()


def _pieces(manifest: Manifest) -> set[Piece]:
    return {piece for shard in manifest.shards for piece in shard.pieces}


def _manifest_path(store: BlobStore, root: Digest) -> Path:
    found = store.find(root.hex + SUFFIX)
    if found is None:
        raise _unknown(store, str(root))
    return found


def _unknown(store: BlobStore, text: str) -> DataError:
    places = ", ".join(map(str, store.folders))
    help = "add it with `jobspec data add`; `jobspec data ls` shows what is here"
    return DataError("E0401", f"no data set {text} in these folders: {places}", help=help)


def _damaged(path: Path, why: str) -> DataError:
    return DataError("E0402", f"the manifest {path} is damaged: {why}", help="add the data again")
