"""A store that fetches what it lacks from another one.

Takes: a blob store's folders, a remote. Promises: what is handed out hashes to its name, wherever it came from. A
blob is fetched once, goes on where an earlier attempt stopped, and is hashed on arrival; one that does not match is
fetched once more and then named. The blob that will be wanted next is fetched meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

from blake3 import blake3

from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.store.blobs import NAME, BlobDamaged, BlobStore
from jobspec.store.files import FileLayer, StoreError, explained, make_folders, write_all, write_file
from jobspec.store.remote import CHUNK, Remote

#: of a file that is not hashed under its name: a manifest
SMALL = 256 << 20
ATTEMPTS = 2
PARTIAL = ".pull"


class FetchingStore(BlobStore):
    """Blobs in `folder` and `search`, and behind them in the folder `below` of `remote`."""

    def __init__(
        self, folder: Path, search: Iterable[Path], files: FileLayer | None, remote: Remote, below: str
    ) -> None:
        super().__init__(folder, search, files)
        self.remote, self._below = remote, below
        self._worker = ThreadPoolExecutor(1, "jobspec-fetch")
        self._lock = Lock()
        self._coming: dict[str, Future[None]] = {}
        self._sizes: dict[str, int] = {}

    def find(self, file: str) -> Path | None:
        """Where the file lies; fetched where only the remote has it."""
        found = super().find(file)
        if found is not None:
            return found
        self._awaited(file)
        return super().find(file) or self._fetched(file)

    def has(self, name: Digest) -> bool:
        return super().has(name) or self.remote.has(f"{self._below}/{name.hex}")

    def map(self, name: Digest) -> memoryview:
        """As a plain store's; an own copy that is damaged is fetched again."""
        try:
            return super().map(name)
        except BlobDamaged as error:
            if error.path != self.own_path(name) or not self.remote.has(f"{self._below}/{name.hex}"):
                raise
        self.remove(name)
        return super().map(name)

    def expect(self, sizes: Mapping[Digest, int]) -> None:
        """Nothing longer is fetched under these names."""
        self._sizes |= {name.hex: size for name, size in sizes.items()}

    def ahead(self, name: Digest) -> None:
        """Begin to fetch what will be wanted; what goes wrong is said when it is."""
        with self._lock:
            if super().find(name.hex) is None and name.hex not in self._coming:
                self._coming[name.hex] = self._worker.submit(self._fetch_quietly, name.hex)

    def _fetch_quietly(self, file: str) -> None:
        with suppress(JobspecError):
            self._fetched(file)

    def _awaited(self, file: str) -> None:
        with self._lock:
            coming = self._coming.pop(file, None)
        if coming is not None:
            coming.result()

    def _fetched(self, file: str) -> Path | None:
        """The file out of the remote, in the own folder; None where it has none."""
        source = f"{self._below}/{file}"
        if not self.remote.has(source):
            return None
        target = self.folder / file
        if NAME.fullmatch(file):
            fetch_blob(self.files, self.remote, source, target, self._sizes.get(file))
        else:
            write_file(self.files, target, [self.remote.read(source, SMALL)])
        return target


def fetch_blob(files: FileLayer, remote: Remote, source: str, target: Path, size: int | None = None) -> None:
    """Fetch the blob `target` is named for; `size`: how many bytes it has, if that is known. Raises StoreError E0713
    where what comes has another size, or another hash, twice."""
    wanted = Digest(bytes.fromhex(target.name))
    if size is not None and remote.size(source) != size:
        reason = f"{remote.shown}/{source} is not the blob that its name says: that one has {size} bytes"
        raise StoreError("E0713", reason, help="the copy there is damaged: push it again from a store that has it")
    for _ in range(ATTEMPTS):
        found = _pull(files, remote, source, target)
        if found == wanted:
            return
    reason = f"{remote.shown}/{source} is not the blob that its name says: its bytes hash to {found}"
    raise StoreError("E0713", reason, help="the copy there is damaged: push it again from a store that has it")


def _pull(files: FileLayer, remote: Remote, source: str, target: Path) -> Digest:
    """Fetch into a partial file, from where it ends; publish it if it hashes to the target's name."""
    make_folders(files, target.parent)
    partial = target.parent / f".{target.name}{PARTIAL}"
    with explained("write", partial):
        fd = files.open_log(partial)
        try:
            _extend(files, fd, partial, remote, source)
            found = _hashed(partial)
            if found.hex == target.name:
                files.sync(fd)
                files.rename(partial, target)
                files.sync_folder(target.parent)
            else:
                files.truncate(fd, 0)
        finally:
            files.close(fd)
    return found


def _extend(files: FileLayer, fd: int, partial: Path, remote: Remote, source: str) -> None:
    start = files.status(partial).st_size
    files.seek(fd, start)
    for chunk in remote.chunks(source, start):
        write_all(files, fd, chunk)


def _hashed(path: Path) -> Digest:
    hasher = blake3(max_threads=blake3.AUTO)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return Digest(hasher.digest())
