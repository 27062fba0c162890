"""idx files, the format of MNIST, also gzipped.

Takes: a path. Promises: the array of the header's type and shape; a file that is cut or has bytes left
over is a DataError. Source: yann.lecun.com/exdb/mnist. Big-endian throughout:

    0 0 type rank | rank sizes (u32) | values, last axis innermost
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jobspec.store.dtypes import Array
from jobspec.store.importers.source import cut_short, open_bytes

PIECE = 4 << 20
TYPES: dict[int, np.dtype[Any]] = {
    **{0x08: np.dtype(">u1"), 0x09: np.dtype(">i1"), 0x0B: np.dtype(">i2"), 0x0C: np.dtype(">i4")},
    **{0x0D: np.dtype(">f4"), 0x0E: np.dtype(">f8")},
}


def read_idx(path: Path) -> Array:
    """The array in `path`: [records, *shape]. Raises DataError."""
    with open_bytes(path) as file:
        zeros, code, rank = _head(path, file)
        if zeros or code not in TYPES or not 1 <= rank <= 8:
            raise cut_short(path, "its first four bytes are not an idx header")
        shape = tuple(int(size) for size in np.frombuffer(_exactly(path, file, 4 * rank), ">u4"))
        raw = _exactly(path, file, prod(shape) * TYPES[code].itemsize)
        if file.read(1):
            raise cut_short(path, f"it goes on after the {prod(shape)} values of its header")
    return np.frombuffer(raw, TYPES[code]).reshape(shape)


def _head(path: Path, file: BinaryIO) -> tuple[int, int, int]:
    first, second, code, rank = _exactly(path, file, 4)
    return first | second, code, rank


def _exactly(path: Path, file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, read in pieces: a header may claim more than memory holds."""
    parts: list[bytes] = []
    left = size
    while left and (part := file.read(min(left, PIECE))):
        parts.append(part)
        left -= len(part)
    if left:
        raise cut_short(path, f"it ends {left} bytes before its header says")
    return b"".join(parts)
