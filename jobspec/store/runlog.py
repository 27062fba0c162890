"""The run log: the only thing in the store that grows.

Takes: values to append. Promises: each record carries its own hash and the one before, so the log is
whole up to its first bad record, and `open_log` cuts it there; a killed process loses no record whose
`append` returned, a power cut none that was appended with `sync=True`. One writer at a time.

    log    := MAGIC record*          record := length (u32, little-endian), payload, hash (32 bytes)
    payload := canonical bytes of [hash of the record before, or of no record; value]
    hash   := digest "runlog" of the payload
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from jobspec.ir.canonical import Limits, Value, decode, encode
from jobspec.ir.digest import Digest, digest
from jobspec.store.files import Bytes, FileLayer, StoreError, explained, make_folders, write_all

MAGIC = b"jobspec run log 1\n"
START = digest("runlog.start", b"")
LENGTH = 4
HASH = 32
#: what `encode` allows within the size, so that whatever is written can be read
LIMITS = Limits(size=1 << 20, depth=32, items=1 << 20)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: its value, its hash, and the offset behind it."""

    value: Value
    hash: Digest
    end: int


class RunLog:
    """An open log at its end. `cut`: bytes of torn tail that opening removed. Made by `open_log`."""

    def __init__(self, files: FileLayer, path: Path, fd: int, last: Digest, end: int, cut: int) -> None:
        self.path = path
        self.cut = cut
        self._files = files
        self._fd = fd
        self._last = last
        self._end = end

    @property
    def last(self) -> Digest:
        """Hash of the last record; START in an empty log."""
        return self._last

    def append(self, value: Value, *, sync: bool = False) -> Digest:
        """Add a record and return its hash. With `sync` it is on the disk when this returns, with all
        before it. Raises StoreError: where writing failed, the log still ends with the record before."""
        frame, hash = _frame(self._last, value)
        with explained("write", self.path):
            self._write(frame)
            self._last, self._end = hash, self._end + len(frame)
        if sync:
            self.sync()
        return hash

    def sync(self) -> None:
        """All records are on the disk when this returns. Raises StoreError."""
        with explained("write", self.path):
            self._files.sync(self._fd)

    def _write(self, frame: bytes) -> None:
        """All of the frame or, as far as the disk lets us, nothing of it."""
        self._files.seek(self._fd, self._end)
        try:
            write_all(self._files, self._fd, frame)
        except OSError:
            self._files.truncate(self._fd, self._end)
            raise

    def close(self) -> None:
        """Sync and let go of the log."""
        with explained("write", self.path):
            try:
                self._files.sync(self._fd)
            finally:
                self._files.close(self._fd)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_log(path: Path, files: FileLayer | None = None) -> RunLog:
    """The log at `path`, made where absent, its torn tail cut. Raises StoreError where another process
    writes to it, or where the file is no run log."""
    files = files or FileLayer()
    make_folders(files, path.parent)
    fd = _locked(files, path)
    try:
        with explained("open", path):
            return _resume(files, path, fd)
    except BaseException:
        files.close(fd)
        raise


def read_log(path: Path, files: FileLayer | None = None) -> list[Value]:
    """The values of the log's whole records, in order. Raises StoreError where it cannot be read."""
    with explained("read", path):
        data = (files or FileLayer()).map(path)[1]
    if _is_torn_start(data):
        return []
    _check_magic(path, data)
    return [entry.value for entry in entries(data)]


def entries(data: Bytes) -> Iterator[Entry]:
    """The records of a log's bytes, up to the first that is torn, changed or out of its chain."""
    before, at = START, len(MAGIC)
    while (entry := _entry(data, at, before)) is not None:
        yield entry
        before, at = entry.hash, entry.end


def _entry(data: Bytes, at: int, before: Digest) -> Entry | None:
    size = int.from_bytes(data[at : at + LENGTH], "little")
    middle = at + LENGTH + size
    end = middle + HASH
    if size > LIMITS.size or len(data) < end:
        return None
    payload = bytes(data[at + LENGTH : middle])
    hash = digest("runlog", payload)
    if hash.raw != data[middle:end]:
        return None
    value = _value(payload, before)
    return None if value is None else Entry(value[0], hash, end)


def _value(payload: bytes, before: Digest) -> tuple[Value] | None:
    """The payload's value in a tuple; None unless it follows the record `before`."""
    try:
        pair = decode(payload, LIMITS)
    except ValueError:
        return None
    follows = isinstance(pair, list) and len(pair) == 2 and pair[0] == before.raw
    return (pair[1],) if isinstance(pair, list) and follows else None


def _frame(before: Digest, value: Value) -> tuple[bytes, Digest]:
    payload = encode([before.raw, value])
    if len(payload) > LIMITS.size:
        raise ValueError(f"a record of {len(payload)} bytes; at most {LIMITS.size} are allowed")
    hash = digest("runlog", payload)
    return len(payload).to_bytes(LENGTH, "little") + payload + hash.raw, hash


def _locked(files: FileLayer, path: Path) -> int:
    try:
        with explained("open", path):
            return files.open_log(path)
    except StoreError as error:
        if isinstance(error.__cause__, BlockingIOError):
            reason = f"another process is writing to the run log {path}"
            help = "wait for it to end, or stop it; this run will go on from where it got to"
            raise StoreError("E0706", reason, help=help) from error
        raise


def _resume(files: FileLayer, path: Path, fd: int) -> RunLog:
    data = files.map(path)[1]
    if _is_torn_start(data):
        return _begin(files, path, fd, len(data))
    _check_magic(path, data)
    last, end = START, len(MAGIC)
    for entry in entries(data):
        last, end = entry.hash, entry.end
    if end < len(data):
        files.truncate(fd, end)
        files.sync(fd)
    return RunLog(files, path, fd, last, end, len(data) - end)


def _begin(files: FileLayer, path: Path, fd: int, cut: int) -> RunLog:
    """A new log; `cut` bytes of a torn or whole first line are there."""
    files.seek(fd, 0)
    write_all(files, fd, MAGIC)
    files.sync(fd)
    files.sync_folder(path.parent)
    return RunLog(files, path, fd, START, len(MAGIC), cut % len(MAGIC))


def _is_torn_start(data: Bytes) -> bool:
    """Whether there is at most a first line, whole or torn: a power cut may leave its length without its bytes."""
    return len(data) <= len(MAGIC) and MAGIC.startswith(bytes(data).rstrip(b"\0"))


def _check_magic(path: Path, data: Bytes) -> None:
    if data[: len(MAGIC)] != MAGIC:
        help = "remove or rename the file; a new log will be made"
        raise StoreError("E0707", f"{path} is not a run log", help=help)
