"""A file layer that fails where a test says, and a driver that tries every place.

Takes: the number of an operation and how it fails. Promises: `FaultyFiles` counts the operations that change
the disk and fails at that one: with an error of the system (a write first takes half its bytes), or as if the
process were killed, after which nothing more reaches the disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from jobspec.store.files import FileLayer


class Killed(BaseException):
    """The process is gone: no clean-up reaches the disk."""


class FaultyFiles(FileLayer):
    """Fails at operation `at` (0-based; never where negative). `error`: an errno, or None for a kill."""

    def __init__(self, at: int = -1, error: int | None = errno.ENOSPC) -> None:
        self.at = at
        self.error = error
        self.done: list[str] = []
        self.dead = False
        self._open: set[int] = set()

    def _step(self, name: str) -> bool:
        """Whether this operation is to fail."""
        if self.dead:
            raise Killed
        self.done.append(name)
        return len(self.done) - 1 == self.at

    def _fail(self) -> None:
        if self.error is None:
            self._die()
        raise OSError(self.error, os.strerror(self.error))

    def _die(self) -> NoReturn:
        """The system closes what a killed process had open, and so lets go of its locks."""
        self.dead = True
        for fd in self._open:
            os.close(fd)
        raise Killed

    def create(self, path: Path) -> int:
        return self._opened("create", super().create, path)

    def open_log(self, path: Path) -> int:
        return self._opened("open_log", super().open_log, path)

    def _opened(self, name: str, real: Callable[[Path], int], path: Path) -> int:
        if self._step(name):
            self._fail()
        fd = real(path)
        self._open.add(fd)
        return fd

    def close(self, fd: int) -> None:
        fails = self._step("close")
        self._open.discard(fd)
        super().close(fd)
        if fails:
            self._fail()

    def write(self, fd: int, data: Any) -> int:
        if self._step("write"):
            super().write(fd, memoryview(data)[: len(data) // 2])
            self._fail()
        return super().write(fd, data)


def _faulty(name: str) -> Callable[..., Any]:
    real = getattr(FileLayer, name)

    def operation(self: FaultyFiles, *args: Any) -> Any:
        if self._step(name):
            self._fail()
        return real(self, *args)

    return operation


for _name in ("truncate", "sync", "rename", "remove", "make_folder", "sync_folder"):
    setattr(FaultyFiles, _name, _faulty(_name))


def faults(action: Callable[[FaultyFiles], object], error: int | None = errno.ENOSPC) -> Iterator[BaseException | None]:
    """Run `action` once per operation it makes, failing there; what it raised. Ends with a run that does not
    fail, which yields nothing."""
    at = 0
    while True:
        files = FaultyFiles(at, error)
        raised = _raised(action, files)
        if at >= len(files.done):
            assert raised is None
            assert at > 0, "the action changes nothing"
            return
        yield raised
        at += 1


def _raised(action: Callable[[FaultyFiles], object], files: FaultyFiles) -> BaseException | None:
    try:
        action(files)
    except (Exception, Killed) as error:
        return error
    return None


def drafts(folder: Path) -> list[Path]:
    """What unfinished writing has left behind."""
    return sorted(folder.rglob(".*.part"))
