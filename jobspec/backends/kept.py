"""Bytes kept on disk by key: what was made before and need not be made again.

Takes: a folder, made when needed. Promises: `recall` gives only what `keep` was given for that very key: an entry
carries a digest of its key and bytes, and one that is torn, changed or lies under another's name is none. A folder that
cannot be written is a folder that is not used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jobspec.ir.canonical import Value, encode
from jobspec.ir.digest import Digest, blob_digest, digest
from jobspec.ir.later import later

if TYPE_CHECKING:
    from tempfile import mkstemp
else:
    mkstemp = later("tempfile", "mkstemp")

ROOM = Path(__file__).parents[1]
SEAL = 32


@dataclass(frozen=True)
class Kept:
    """`folder`: None keeps nothing."""

    folder: Path | None

    def recall(self, key: Digest) -> bytes | None:
        """What was kept under `key`, where it is there whole."""
        if self.folder is None:
            return None
        try:
            stored = (self.folder / key.hex).read_bytes()
        except OSError:
            return None
        seal, body = stored[:SEAL], stored[SEAL:]
        return body if seal == seal_of(key, body) else None

    def keep(self, key: Digest, body: bytes) -> None:
        """Have `body` recalled for `key`, if the folder can be written."""
        if self.folder is not None:
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                write(self.folder / key.hex, seal_of(key, body) + body)


def seal_of(key: Digest, body: bytes) -> bytes:
    """What an entry begins with: binds its bytes to its key."""
    return digest("kept", key.raw + body).raw


def write(path: Path, data: bytes) -> None:
    """The whole file or none: readers never see a part."""
    handle, name = mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise


@cache
def sources(*patterns: str) -> Digest:
    """Of the text of all our modules that `patterns` name: what is made by them is made anew when one changes."""
    files: Iterable[Path] = sorted({path for pattern in patterns for path in ROOM.glob(pattern)})
    named: Value = [[path.relative_to(ROOM).as_posix(), text_of(path)] for path in files]
    return digest("kept.sources", encode(named))


@cache
def text_of(path: Path) -> bytes:
    """A digest of a file's bytes; some files have a part in several things."""
    return blob_digest(path.read_bytes()).raw
