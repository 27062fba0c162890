"""What the importers' tests share: files made on the spot, added to a store or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobspec.ir.errors import DataError
from jobspec.store.datasets import DataSet, known_roots, open_set
from jobspec.store.dtypes import Array
from jobspec.store.home import Home
from jobspec.store.importers import AddedSet, add
from jobspec.store.names import names_of

ROOMS = Path(__file__).parents[2]
IMAGES = np.arange(5 * 6, dtype=np.uint8).reshape(5, 2, 3)
LABELS = np.array([3, 1, 4, 1, 5], np.int64)


def one(home: Home, *paths: Path | str, **options: Any) -> tuple[AddedSet, DataSet]:
    (added,) = add([str(path) for path in paths], home, **options)
    return added, open_set(home.data(), added.root)


def npy(folder: Path, name: str, array: Array) -> Path:
    np.save(folder / name, array)
    return folder / f"{name}.npy"


def idx(array: Array, code: int) -> bytes:
    head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def refused(code: str, home: Home, *paths: Path | str, **options: Any) -> str:
    """The reason and help of the DataError; nothing is stored."""
    with pytest.raises(DataError) as caught:
        add([str(path) for path in paths], home, **options)
    error = caught.value
    assert (error.code, error.exit_code) == (code, 5), error
    assert known_roots(home.data()) == []
    assert names_of(home) == {}
    return f"{error.reason} | {error.help}"
