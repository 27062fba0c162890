"""Element types as numpy stores them: always little-endian.

Takes: element type names of `ir.types`. Promises: one numpy dtype per name and back; `stored` gives an
array in that dtype, contiguous, without changing a value's bits.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

NUMPY: dict[str, np.dtype[Any]] = {
    "u8": np.dtype("u1"),
    "u16": np.dtype("<u2"),
    "u32": np.dtype("<u4"),
    "i32": np.dtype("<i4"),
    "f32": np.dtype("<f4"),
    "bool": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in NUMPY.items()}


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """The element type stored as `dtype` (of either byte order); None where there is none."""
    return NAMES.get(dtype.newbyteorder("<"))


def stored(array: Array) -> Array:
    """`array` little-endian and C-contiguous. Raises ValueError for a dtype that has no name here."""
    if dtype_name(array.dtype) is None:
        raise ValueError(f"an array of {array.dtype} cannot be stored: only {', '.join(NUMPY)}")
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def raw_bytes(array: Array) -> memoryview:
    """The bytes of a `stored` array, in order, without a copy."""
    return array.reshape(-1).view(np.uint8).data
