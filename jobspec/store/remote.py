"""A store elsewhere: any folder that fsspec can reach (a path, s3://, https://, sftp://, …).

Takes: a URL. Promises: names below it are read and written whole or not at all as far as its system allows; whatever
goes wrong on the way is a StoreError that names the URL. Nothing that comes from there is believed before it is
hashed. Needs the extra `remote`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from jobspec.ir.errors import UsageError
from jobspec.store.files import StoreError

T = TypeVar("T")
CHUNK = 4 << 20


class Remote:
    """The folder `url`. Names are relative, with `/`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._root = _opened(self.url)

    def has(self, name: str) -> bool:
        try:
            return bool(self._system.info(self._path(name))["type"] == "file")
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
            found = self._system.ls(self._path(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        except Exception as error:  # systems raise errors of their own kinds
            raise self._trouble(folder, error) from error
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def read(self, name: str, limit: int) -> bytes:
        """A file of at most `limit` bytes. Raises StoreError."""
        if self.size(name) > limit:
            raise StoreError("E0712", f"{self.url}/{name} is larger than the {limit} bytes that it may have")
        return self._asked(lambda: bytes(self._system.cat_file(self._path(name))), name)

    def chunks(self, name: str, start: int) -> Iterator[bytes]:
        """The file's bytes from `start` on."""
        size = self.size(name)
        for first in range(start, size, CHUNK):
            yield self._range(name, first, min(first + CHUNK, size))

    def _range(self, name: str, first: int, last: int) -> bytes:
        return self._asked(lambda: bytes(self._system.cat_file(self._path(name), start=first, end=last)), name)

    def put(self, name: str, path: Path) -> None:
        """Send a file, under another name first: what has its name is whole."""
        target, draft = self._path(name), f"{self._path(name)}.part"

        def send() -> None:
            self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._system.put_file(str(path), draft)
            self._system.mv(draft, target)

        self._asked(send, name)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _asked(self, ask: Callable[[], T], name: str) -> T:
        try:
            return ask()
        except Exception as error:  # systems raise errors of their own kinds
            raise self._trouble(name, error) from error

    def _trouble(self, name: str, error: Exception) -> StoreError:
        reason = f"{self.url}/{name}: {error or type(error).__name__}"
        return StoreError("E0712", reason, help="try again: what has arrived is not sent twice")


def absent(error: FileNotFoundError) -> bool:
    """Whether the file is known not to be there. A web server that could not be asked is told as a missing file too,
    with what went wrong behind it."""
    behind = error.__cause__
    return behind is None or getattr(behind, "status", None) in (404, 410)


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises UsageError E0860 where it cannot be had."""
    try:
        system, root = import_module("fsspec.core").url_to_fs(url, use_listings_cache=False)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fsspec":
            raise _unknown(url, error) from error
        raise UsageError(
            "E0860", "remote stores need the package fsspec", help="pip install 'jobspec[remote]'"
        ) from error
    except (ImportError, ValueError, OSError) as error:
        raise _unknown(url, error) from error
    return system, str(root).rstrip("/")


def _unknown(url: str, error: Exception) -> UsageError:
    help = "a path, or a URL that fsspec knows: s3://bucket/folder, https://host/folder, sftp://host/folder"
    return UsageError("E0860", f"no store can be reached at `{url}`: {error}", help=help)
