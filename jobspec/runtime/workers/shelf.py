"""Where the head puts what it takes of the state.

Takes: arrays, whole or in blocks. Promises: their values, not to be changed. Without a folder they stay in memory; with
one large ones lie in files of it that are mapped, so the system may have their memory at any time, and that have no
name, so nothing is left of them however the process ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.numbers import NUMPY
from jobspec.ir.types import Type
from jobspec.passes.split.boxes import Box, whole
from jobspec.store.files import explained

Array = NDArray[Any]
#: bytes of a state, and then of a tensor, above which it lies in files
LARGE, SMALL = 256 << 20, 1 << 20


class Shelf:
    """`folder`: for files; made where it is not there. Raises StoreError where they cannot be written."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def put(self, kind: Type, array: Array) -> Array:
        """An array that nobody else changes."""
        return self.joined(kind, [(whole(kind.shape), array)]) if self._folder and kind.nbytes > SMALL else array

    def joined(self, kind: Type, blocks: Iterable[tuple[Box, Array]]) -> Array:
        """An array by its blocks, each asked for when the one before is put."""
        array = self._room(kind)
        for box, block in blocks:
            array[tuple(slice(a, b) for a, b in box)] = block
        return array

    def _room(self, kind: Type) -> Array:
        dtype = np.dtype(NUMPY[kind.dtype])
        if self._folder is None or kind.nbytes <= SMALL:
            return np.empty(kind.shape, dtype)
        with explained("write", self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                os.posix_fallocate(file.fileno(), 0, kind.nbytes)  # or a full disk would be a signal, later
                return np.asarray(np.memmap(file, dtype, "r+", shape=kind.shape))


def shelf_for(state: int, folder: Path) -> Shelf:
    """`state`: bytes."""
    return Shelf(folder if state > LARGE else None)
