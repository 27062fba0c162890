"""Plan files that this store made: all others are a stranger's.

Takes: a plan file's bytes. Promises: they are known again by their hash, before anything in them is read.

    HOME/made/<plain BLAKE3 of the file>     an empty file
"""

from __future__ import annotations

from jobspec.ir.digest import blob_digest
from jobspec.store.files import write_file
from jobspec.store.home import Home

MADE = "made"


def remember(home: Home, data: bytes) -> None:
    """The file was compiled here. Raises StoreError."""
    write_file(home.files, home.folder / MADE / blob_digest(data).hex, [])


def is_ours(home: Home, data: bytes) -> bool:
    return (home.folder / MADE / blob_digest(data).hex).is_file()
