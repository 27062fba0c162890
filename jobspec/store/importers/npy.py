"""numpy's files: one array (.npy) or several by name (.npz). Nothing is ever unpickled.

Takes: a path. Promises: the arrays as stored, a .npy mapped and not loaded; a file that is cut, has
bytes left over, or holds Python objects is a DataError.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from jobspec.store.dtypes import Array
from jobspec.store.files import explained
from jobspec.store.importers.source import cut_short


def read_npy(path: Path) -> Array:
    """The array in `path`. Raises DataError."""
    with _readable(path):
        found = np.lib.format.open_memmap(path, mode="r")
    end = found.offset + found.nbytes
    if end != path.stat().st_size:
        raise cut_short(path, f"its array ends at byte {end}, the file at byte {path.stat().st_size}")
    return found


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays in `path` by name. Raises DataError."""
    with _readable(path), path.open("rb") as file, NpzFile(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with explained("read", path):
            yield
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise cut_short(path, f"{error}") from error
