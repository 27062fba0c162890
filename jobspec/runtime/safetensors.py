"""The safetensors file format, written and read without surprises.

Takes: named arrays, text metadata; or a file's bytes. Promises: equal contents give equal bytes (the
reference writer orders metadata by chance, so this one is our own); reading refuses what the format
forbids: holes, overlaps, sizes that do not follow from shapes, unknown keys, oversized headers.

    file := header length (u64, little end), header (JSON, padded with blanks to 8), tensors end to end
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: element types in the format's spelling, those that states have
NUMPY: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
#: spelled in files of other programs, and read as what numpy has for them; BF16 as its bits
FOREIGN: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
}
NAMES = {dtype: name for name, dtype in NUMPY.items()}
METADATA = "__metadata__"
HEADER = 100_000_000


class SafetensorsError(ValueError):
    """Bytes that are not a safetensors file."""


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in a file. `dtype`: the format's word."""

    dtype: str
    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape


def widened(stored: Stored) -> Array:
    """The values as float32; bf16 and f16 lose nothing. Raises SafetensorsError for any other element type."""
    if stored.dtype == "BF16":
        return (stored.array.astype(np.uint32) << 16).view(np.float32)
    if stored.dtype not in ("F32", "F16"):
        raise SafetensorsError(f"its elements are {stored.dtype}, not F32, F16 or BF16")
    return stored.array.astype(np.float32, copy=False)


def to_chunks(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The file's bytes, in pieces. Tensors in the order given."""
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))}
    at = 0
    arrays = {name: np.asarray(x, x.dtype.newbyteorder("<")) for name, x in tensors.items()}
    for name, array in arrays.items():
        end = at + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for array in arrays.values():
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def from_bytes(data: bytes | memoryview) -> tuple[dict[str, Array], dict[str, str]]:
    """Tensors of our own element types by name, read-only, in file order, and metadata. Raises SafetensorsError."""
    found, metadata = stored_tensors(data)
    for name, tensor in found.items():
        if tensor.dtype not in NUMPY:
            raise SafetensorsError(f"tensor `{name}` has the element type {tensor.dtype}")
    return {name: tensor.array for name, tensor in found.items()}, metadata


def stored_tensors(data: bytes | memoryview) -> tuple[dict[str, Stored], dict[str, str]]:
    """Tensors as they lie in the file, by name, in file order, and metadata. Raises SafetensorsError."""
    header, start = _header(data)
    metadata = header.pop(METADATA, {})
    if not _is_text_map(metadata):
        raise SafetensorsError("its metadata is not text")
    body = memoryview(data)[start:]
    found, at = {}, 0
    for name, entry in sorted(header.items(), key=_begin):
        found[name], at = _tensor(name, entry, body, at)
    if at != len(body):
        raise SafetensorsError(f"{len(body) - at} bytes after the last tensor")
    return found, metadata


def _header(data: bytes | memoryview) -> tuple[dict[str, Any], int]:
    size = int.from_bytes(bytes(data[:8]), "little")
    if len(data) < 8 or size > HEADER or size > len(data) - 8:
        raise SafetensorsError("its header is cut")
    try:
        header = json.loads(bytes(data[8 : 8 + size]).decode(), object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise SafetensorsError("its header is no map")
    return header, 8 + size


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise SafetensorsError("a name comes twice in its header")
    return found


def _begin(entry: tuple[str, Any]) -> int:
    """Where a tensor begins, for order alone."""
    try:
        return int(entry[1]["data_offsets"][0])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise SafetensorsError(f"tensor `{entry[0]}` has no offsets") from error


def _tensor(name: str, entry: Any, body: memoryview, at: int) -> tuple[Stored, int]:
    """The tensor, which must begin at `at`, and where it ends."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"tensor `{name}` is not described as the format asks")
    word, shape = entry["dtype"], entry["shape"]
    dtype = (NUMPY | FOREIGN).get(word) if isinstance(word, str) else None
    if dtype is None or not _is_shape(shape):
        raise SafetensorsError(f"tensor `{name}` has an unknown element type or no shape")
    end = at + prod(shape) * dtype.itemsize
    if entry["data_offsets"] != [at, end] or end > len(body):
        raise SafetensorsError(f"tensor `{name}` does not lie where its shape and the tensors before it put it")
    return Stored(word, np.frombuffer(body[at:end], dtype).reshape(shape)), end


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
