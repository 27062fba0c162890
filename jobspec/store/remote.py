"""A store elsewhere: any folder that fsspec can reach (a path, s3://, https://, sftp://, …).

Takes: a URL. Promises: names below it are read and written whole or not at all as far as its system allows; whatever
goes wrong on the way is a StoreError that names the URL. Nothing that comes from there is believed before it is
hashed. Needs the extra `remote`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from jobspec.ir.errors import UsageError
from jobspec.store.files import StoreError

T = TypeVar("T")
CHUNK = 4 << 20
PASSWORD = re.compile(r"(?<=//)([^/@:]*):[^/]*@")


class Remote:
    """The folder `url`. Names are relative, with `/`. `shown`: the URL for people, without the password in it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.shown = without_password(self.url)
        self._system, self._root = _opened(self.url)
        self._made: set[str] = set()
        self._lock = Lock()

    def has(self, name: str) -> bool:
        try:
            return bool(self._alone(lambda: self._system.info(self._path(name))["type"] == "file"))
        except FileNotFoundError as error:
            if absent(error):
                return False
            raise self._trouble(name, error) from error
        except Exception as error:  # systems raise errors of their own kinds
            raise self._trouble(name, error) from error

    def size(self, name: str) -> int:
        return self._asked(lambda: int(self._system.size(self._path(name)) or 0), name)

    def names(self, folder: str) -> list[str]:
        """Names of files and folders in `folder`, sorted; none where there is no such folder."""
        try:
            found = self._alone(lambda: self._system.ls(self._path(folder), detail=False))
        except FileNotFoundError:
            return []
        except Exception as error:  # systems raise errors of their own kinds
            raise self._trouble(folder, error) from error
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def read(self, name: str, limit: int) -> bytes:
        """A file of at most `limit` bytes. Raises StoreError."""
        if self.size(name) > limit:
            reason = f"{self.shown}/{name} is larger than the {limit} bytes that it may have"
            raise StoreError("E0712", reason, help="it is not what a store holds under that name: push it again")
        return self._asked(lambda: bytes(self._system.cat_file(self._path(name))), name)

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """The file's bytes from `start` on."""
        size = self.size(name)
        for first in range(start, size, CHUNK):
            yield self._range(name, first, min(first + CHUNK, size))

    def _range(self, name: str, first: int, last: int) -> bytes:
        path = self._path(name)
        if "sftp" in self._system.protocol:
            return self._asked(lambda: pipelined(self._system.open(path), first, last), name)
        return self._asked(lambda: bytes(self._system.cat_file(path, start=first, end=last)), name)

    def put(self, name: str, path: Path) -> None:
        """Send a file, under another name first: what has its name is whole."""
        target, draft = self._path(name), f"{self._path(name)}.part"

        def send() -> None:
            self._make(target.rpartition("/")[0])
            self._system.put_file(str(path), draft)
            self._system.mv(draft, target)

        self._asked(send, name)

    def _make(self, folder: str) -> None:
        """Make a folder and what is missing above it; a bucket, whose name has no slash, must be there."""
        if folder in self._made or "/" not in folder:
            return
        if not self._system.isdir(folder):
            self._make(folder.rpartition("/")[0])
            with suppress(FileExistsError):
                self._system.mkdir(folder, create_parents=False)
        self._made.add(folder)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _alone(self, ask: Callable[[], T]) -> T:
        """One request at a time: not every system takes them from two threads. What it remembers of earlier ones may
        no longer be so."""
        with self._lock:
            self._system.invalidate_cache()
            return ask()

    def _asked(self, ask: Callable[[], T], name: str) -> T:
        try:
            return self._alone(ask)
        except Exception as error:  # systems raise errors of their own kinds
            raise self._trouble(name, error) from error

    def _trouble(self, name: str, error: Exception) -> StoreError:
        reason = f"{self.shown}/{name}: {reason_of(error)}"
        return StoreError("E0712", without_password(reason), help="try again: what has arrived is not sent twice")


def pipelined(file: Any, first: int, last: int) -> bytes:
    """A range of a file over SFTP, whose `read` waits for every 32 kB before it asks for the next."""
    with file:
        return b"".join(file.readv([(first, last - first)]))


def reason_of(error: BaseException) -> str:
    """What went wrong; of a server that could not be asked, what stands behind the missing file (see `absent`)."""
    if isinstance(error, FileNotFoundError) and error.__cause__:
        return reason_of(error.__cause__)
    words = error.strerror if isinstance(error, OSError) else None
    return str(words or error) or type(error).__name__


def absent(error: FileNotFoundError) -> bool:
    """Whether the file is known not to be there. A web server that could not be asked is told as a missing file too,
    with what went wrong behind it."""
    behind = error.__cause__
    return behind is None or getattr(behind, "status", None) in (404, 410)


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises UsageError E0860 where it cannot be had."""
    try:
        system, root = import_module("fsspec.core").url_to_fs(url)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fsspec":
            raise _unknown(url, error) from error
        raise UsageError(
            "E0860", "remote stores need the package fsspec", help="pip install 'jobspec[remote]'"
        ) from error
    except Exception as error:  # systems raise errors of their own kinds
        raise _unknown(url, error) from error
    return system, str(root).rstrip("/")


def _unknown(url: str, error: Exception) -> UsageError:
    help = "a path, or a URL that fsspec knows: s3://bucket/folder, https://host/folder, sftp://host/folder"
    reason = f"no store can be reached at `{url}`: {error or type(error).__name__}"
    return UsageError("E0860", without_password(reason), help=help)


def without_password(text: str) -> str:
    """`sftp://me:secret@host` as `sftp://me@host`."""
    return PASSWORD.sub(r"\1@", text)
