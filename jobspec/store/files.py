"""The file layer: the one door through which the store changes the disk.

Takes: paths and bytes. Promises: a file published here is whole or absent, also after a crash: it is
written under a temporary name in the same folder, synced, renamed, and the folder is synced. Every
operation of the disk is one method of `FileLayer`, so that a test can put a layer in its place that
fails at any of them. What the system refuses is a StoreError in plain words.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from jobspec.ir.errors import JobspecError

Bytes: TypeAlias = bytes | memoryview

TEMPORARY = ".part"
#: bytes that are read at once, unless fewer are asked for
MOST = 1 << 30
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class StoreError(JobspecError):
    """The store cannot do its work: disk full, no permission, locked (exit code 1)."""


class FileLayer:
    """The system's files. Every method raises OSError as the system does."""

    def create(self, path: Path) -> int:
        """Descriptor of a new file; FileExistsError where there is one."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def open_log(self, path: Path) -> int:
        """Descriptor of a file to read and extend, made where absent; BlockingIOError where it is locked."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def write(self, fd: int, data: Bytes) -> int:
        """Bytes written, which may be fewer than given."""
        return os.write(fd, data)

    def seek(self, fd: int, offset: int) -> None:
        os.lseek(fd, offset, os.SEEK_SET)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        os.mkdir(path)

    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def read(self, path: Path, most: int = MOST) -> bytes:
        """The file's first bytes, at most so many: who takes no more than `most - 1` sees that there are too many."""
        with os.fdopen(open_file(path), "rb") as file:
            return file.read(min(most, os.fstat(file.fileno()).st_size))

    def map(self, path: Path) -> tuple[os.stat_result, memoryview]:
        """One file's status and its bytes, mapped read-only; they stay valid after it is removed."""
        with os.fdopen(open_file(path), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size == 0:
                return status, memoryview(b"")
            return status, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def status(self, path: Path) -> os.stat_result:
        return path.stat()

    def names(self, folder: Path) -> list[str]:
        """Names in `folder`, sorted; none where it does not exist."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


def open_file(path: Path) -> int:
    """Descriptor of a regular file to read: a pipe would be waited for, a device may have no end."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "it is no file", str(path))


@contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Turn the system's refusal inside the block into a StoreError. `doing`: "write", "read", …"""
    try:
        yield
    except OSError as error:
        raise store_error(doing, path, error) from error


def store_error(doing: str, path: Path, error: OSError) -> StoreError:
    """What `error` means for a user who wanted to do that to `path`."""
    if error.errno in FULL:
        help = "free some space, or set JOBSPEC_HOME to a folder on a larger disk"
        return StoreError("E0701", f"cannot {doing} {path}: the disk is full", help=help)
    if error.errno in REFUSED:
        help = "change the folder's permissions, or name another one; the store's is what JOBSPEC_HOME says"
        return StoreError("E0702", f"cannot {doing} {path}: not permitted ({error.strerror})", help=help)
    help = "see that each part of the path is a folder, or name another one; the store's is what JOBSPEC_HOME says"
    return StoreError("E0703", f"cannot {doing} {path}: {(error.strerror or str(error)).lower()}", help=help)


class Draft:
    """A file being written: `publish` gives it its name; left without, it vanishes."""

    def __init__(self, files: FileLayer, folder: Path) -> None:
        self._files = files
        self._path = folder / f".{os.urandom(8).hex()}{TEMPORARY}"
        self._fd: int | None = None
        self._published = False

    def __enter__(self) -> Draft:
        make_folders(self._files, self._path.parent)
        with explained("write into", self._path.parent):
            self._fd = self._files.create(self._path)
        return self

    def write(self, data: Bytes) -> None:
        """Append all of `data`."""
        assert self._fd is not None, "the draft is not open"
        with explained("write", self._path):
            write_all(self._files, self._fd, data)

    def publish(self, path: Path, *, sync_folder: bool = True) -> None:
        """Name the whole file `path` (same folder), replacing what stood there."""
        with explained("write", path):
            self._seal()
            self._files.rename(self._path, path)
            self._published = True
            if sync_folder:
                self._files.sync_folder(path.parent)

    def _seal(self) -> None:
        assert self._fd is not None, "the draft is not open"
        self._files.sync(self._fd)
        fd, self._fd = self._fd, None
        self._files.close(fd)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            with suppress(OSError):
                self._files.close(self._fd)
        if not self._published:
            with suppress(OSError):
                self._files.remove(self._path)


def write_all(files: FileLayer, fd: int, data: Bytes) -> None:
    """Write until nothing is left: the system may take less than it is given."""
    view = memoryview(data)
    rest = view.cast("B") if view.nbytes else view[:0]
    while len(rest):
        rest = rest[files.write(fd, rest) :]


def write_file(files: FileLayer, path: Path, chunks: Iterable[Bytes]) -> None:
    """Replace `path` by the chunks in one step. Raises StoreError; then the old file still stands."""
    with Draft(files, path.parent) as draft:
        for chunk in chunks:
            draft.write(chunk)
        draft.publish(path)


def make_folders(files: FileLayer, path: Path) -> None:
    """Make `path` and what is missing above it, durably."""
    if path.is_dir():
        return
    make_folders(files, path.parent)
    with explained("make the folder", path), suppress(FileExistsError):
        files.make_folder(path)
        files.sync_folder(path.parent)


def sweep(files: FileLayer, folder: Path, older_than: float = 3600.0) -> int:
    """Remove drafts that a killed process left in `folder`, untouched for `older_than` seconds; how many."""
    swept = 0
    for name in files.names(folder):
        if name.startswith(".") and name.endswith(TEMPORARY):
            swept += _remove_stale(files, folder / name, older_than)
    return swept


def _remove_stale(files: FileLayer, path: Path, older_than: float) -> bool:
    with suppress(OSError):
        if time.time() - files.status(path).st_mtime >= older_than:
            files.remove(path)
            return True
    return False
