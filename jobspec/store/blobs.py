"""Blobs: immutable files named by the plain BLAKE3 of their bytes.

Takes: bytes, files, names. Promises: what `get` and `map` return hashes to its name, or a DataError
says which file does not; a file that is half written, cut or changed is never taken for the blob;
`put` writes nothing that is already there, and replaces a damaged copy. Reading looks in the search
folders first (data shipped beside a job), then in the store's own; writing goes to its own alone.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from blake3 import blake3

from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import DataError
from jobspec.store.files import MOST, Bytes, Draft, FileLayer, explained, open_file

NAME = re.compile(r"[0-9a-f]{64}")
CHUNK = 4 << 20
#: a file changed this recently may change again under the same time stamp, so it is not remembered
SETTLED_NS = 2_000_000_000

Identity: TypeAlias = tuple[int, int, int, int, int]

#: files this process has hashed: identity → name. An optimisation only, so one for all stores.
_verified: dict[Identity, Digest] = {}


class BlobMissing(DataError):
    """No folder holds the blob."""

    def __init__(self, name: Digest, folders: Sequence[Path]) -> None:
        places = ", ".join(map(str, folders))
        help = "add the data again with `jobspec data add`, or copy the file there from where the job came from"
        super().__init__("E0704", f"the blob {name} is in none of these folders: {places}", help=help)
        self.name = name


class BlobDamaged(DataError):
    """A file's bytes do not hash to its name."""

    def __init__(self, name: Digest, path: Path, actual: Digest, size: int) -> None:
        reason = f"the blob {path} is damaged: expected {name}, its {size} bytes hash to {actual}"
        super().__init__("E0705", reason, help="delete this file and put a good copy in its place")
        self.name = name
        self.path = path
        self.actual = actual
        self.size = size


class BlobStore:
    """Blobs in `folder` (made when first written to), and read-only in the `search` folders."""

    def __init__(self, folder: Path, search: Iterable[Path] = (), files: FileLayer | None = None) -> None:
        self.folder = folder
        self.folders = (*search, folder)
        self.files = files or FileLayer()

    def put(self, data: Bytes, *, sync_folder: bool = True, name: Digest | None = None) -> Digest:
        """Store `data` and return its name; `name`: where the caller has hashed these very bytes. With
        sync_folder=False the caller calls `sync` before it relies on the blob after a crash. Raises StoreError."""
        name = name or blob_digest(data)
        if not self._holds(name):
            with Draft(self.files, self.folder) as draft:
                draft.write(data)
                draft.publish(self.own_path(name), sync_folder=sync_folder)
        return name

    def put_chunks(self, chunks: Iterable[Bytes]) -> Digest:
        """Store the chunks end to end as one blob, whatever its size."""
        hasher = blake3(max_threads=blake3.AUTO)
        with Draft(self.files, self.folder) as draft:
            for chunk in chunks:
                hasher.update(chunk)
                draft.write(chunk)
            name = Digest(hasher.digest())
            if not self._holds(name):
                draft.publish(self.own_path(name))
        return name

    def put_file(self, path: Path) -> Digest:
        """Store a copy of the file `path`."""
        return self.put_chunks(_chunks(path))

    def sync(self) -> None:
        """Make blobs put with sync_folder=False durable."""
        with explained("write", self.folder):
            self.files.sync_folder(self.folder)

    def get(self, name: Digest, most: int = MOST) -> bytes:
        """The blob's bytes, hashed now; one of more than `most` counts as damaged. Raises BlobMissing, BlobDamaged."""
        path = self.path(name)
        with explained("read", path):
            data = self.files.read(path, most)
        _check(name, path, memoryview(data))
        return data

    def map(self, name: Digest) -> memoryview:
        """The blob's bytes, mapped read-only; hashed unless this process has hashed this very file before.
        Raises BlobMissing, BlobDamaged."""
        return self._map(name, self.path(name))

    def _map(self, name: Digest, path: Path) -> memoryview:
        with explained("read", path):
            status, data = self.files.map(path)
        identity = _identity(status)
        if _verified.get(identity) != name:
            _check(name, path, data)
            if _settled(status):
                _verified[identity] = name
        return data

    def _holds(self, name: Digest) -> bool:
        """Whether the own folder has a good copy."""
        path = self.own_path(name)
        if not path.is_file():
            return False
        try:
            self._map(name, path)
        except BlobDamaged:
            return False
        return True

    def has(self, name: Digest) -> bool:
        """Whether some folder has a file of that name; its bytes are not read."""
        return self.find(name.hex) is not None

    def find(self, file: str) -> Path | None:
        """Where a file of that name lies, in the first folder that has it."""
        return next((path for folder in self.folders if (path := folder / file).is_file()), None)

    def expect(self, sizes: Mapping[Digest, int]) -> None:
        """How many bytes blobs have that will be asked for: of use to stores that have to fetch."""

    def ahead(self, name: Digest) -> None:
        """The blob will be wanted soon: of use to stores that have to fetch it."""

    def path(self, name: Digest) -> Path:
        """The file that reading will use. Raises BlobMissing."""
        found = self.find(name.hex)
        if found is None:
            raise BlobMissing(name, self.folders)
        return found

    def own_path(self, name: Digest) -> Path:
        """Where the blob lies, or would lie, in the store's own folder."""
        return self.folder / name.hex

    def names(self) -> Iterator[Digest]:
        """Names of the blobs in the store's own folder, in order."""
        for name in self.files.names(self.folder):
            if NAME.fullmatch(name):
                yield Digest(bytes.fromhex(name))

    def remove(self, name: Digest) -> None:
        """Remove the store's own copy."""
        path = self.own_path(name)
        with explained("remove", path):
            self.files.remove(path)


def _check(name: Digest, path: Path, data: memoryview) -> None:
    actual = blob_digest(data)
    if actual != name:
        raise BlobDamaged(name, path, actual, data.nbytes)


def _identity(status: os.stat_result) -> Identity:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _settled(status: os.stat_result) -> bool:
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS


def _chunks(path: Path) -> Iterator[bytes]:
    with explained("read", path), os.fdopen(open_file(path), "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
