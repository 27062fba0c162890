"""A disk that loses power: what was not synced may be there, or not, or in part.

Takes: a file layer's operations. Promises: `after_crash` makes a folder as a file system may leave it: a file has what
it had at its last sync, with any of the sectors written since; a folder's names are those of its last sync, with any
of the changes since, each whole. `at`: the operation before which the power goes; -1: never.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobspec.store.files import FileLayer
from tests.store.faults import Killed

SECTOR = 512


@dataclass(eq=False)
class Inode:
    """A file's bytes: as of its last sync, and as processes see them."""

    durable: bytes = b""
    current: bytearray = field(default_factory=bytearray)

    def left(self, chance: random.Random) -> bytes:
        """What is on the disk: any sector may be the old or the new one, and the length either of the two."""
        old, new = bytes(self.durable), bytes(self.current)
        if old == new or chance.random() < 0.3:
            return old if chance.random() < 0.5 else new
        size = chance.choice((len(old), len(new)))
        found = bytearray(size)
        for at in range(0, size, SECTOR):
            source = chance.choice((old, new))
            part = source[at : at + SECTOR][: size - at]
            found[at : at + len(part)] = part
        return bytes(found)


@dataclass
class Change:
    """A name that was set to an inode or a folder, or taken away (None), since its folder's last sync."""

    name: str
    what: Inode | str | None


class PowerFiles(FileLayer):
    """The system's files, and beside them what of it is on the disk."""

    def __init__(self, root: Path, at: int = -1) -> None:
        self.root, self.at, self.count, self.dead = root, at, 0, False
        self.inodes: dict[Path, Inode] = {}
        self.names_on_disk: dict[Path, dict[str, Inode | str]] = {root: {}}
        self.changes: dict[Path, list[Change]] = {}
        self.open: dict[int, tuple[Inode, int]] = {}

    def _step(self) -> None:
        if self.dead:
            raise Killed
        if self.count == self.at:
            self.dead = True
            for fd in self.open:
                os.close(fd)
            raise Killed
        self.count += 1

    def _change(self, path: Path, what: Inode | str | None) -> None:
        self.changes.setdefault(path.parent, []).append(Change(path.name, what))

    def create(self, path: Path) -> int:
        self._step()
        fd = super().create(path)
        self._opened(fd, path)
        return fd

    def open_log(self, path: Path) -> int:
        self._step()
        fd = super().open_log(path)
        self._opened(fd, path)
        return fd

    def _opened(self, fd: int, path: Path) -> None:
        if path not in self.inodes:
            self.inodes[path] = Inode()
            self._change(path, self.inodes[path])
        self.open[fd] = (self.inodes[path], 0)

    def write(self, fd: int, data: Any) -> int:
        self._step()
        done = super().write(fd, data)
        inode, at = self.open[fd]
        inode.current[at : at + done] = bytes(data)[:done]
        self.open[fd] = (inode, at + done)
        return done

    def seek(self, fd: int, offset: int) -> None:
        super().seek(fd, offset)
        self.open[fd] = (self.open[fd][0], offset)

    def truncate(self, fd: int, size: int) -> None:
        self._step()
        super().truncate(fd, size)
        del self.open[fd][0].current[size:]

    def sync(self, fd: int) -> None:
        self._step()
        super().sync(fd)
        inode = self.open[fd][0]
        inode.durable = bytes(inode.current)

    def close(self, fd: int) -> None:
        self._step()
        del self.open[fd]
        super().close(fd)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)
        inode = self.inodes.pop(old)
        self.inodes[new] = inode
        self._change(new, inode)
        self._change(old, None)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)
        self.inodes.pop(path, None)
        self._change(path, None)

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)
        self.names_on_disk[path] = {}
        self._change(path, "folder")

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)
        for change in self.changes.pop(path, []):
            self._settle(self.names_on_disk.setdefault(path, {}), change)

    @staticmethod
    def _settle(names: dict[str, Inode | str], change: Change) -> None:
        if change.what is None:
            names.pop(change.name, None)
        else:
            names[change.name] = change.what

    def after_crash(self, into: Path, seed: int) -> None:
        """Write into `into` what a disk may hold now."""
        self._restore(self.root, into, random.Random(seed))

    def _restore(self, folder: Path, into: Path, chance: random.Random) -> None:
        into.mkdir(parents=True, exist_ok=True)
        names = dict(self.names_on_disk.get(folder, {}))
        for change in self.changes.get(folder, []):
            if chance.random() < 0.5:
                self._settle(names, change)
        for name, what in names.items():
            if isinstance(what, Inode):
                (into / name).write_bytes(what.left(chance))
            else:
                self._restore(folder / name, into / name, chance)
