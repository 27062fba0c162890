"""Binary token files: u16 or u32, little-endian, nothing else in the file.

Takes: a path and the element type. Promises: the tokens, mapped and not loaded; a file whose size is not
a whole number of tokens is a DataError. The header that llm.c writes (256 numbers of i32: magic, version,
count, zeros) is known by its magic, checked, and left out. Source: karpathy/llm.c, dev/data/data_common.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jobspec.store.dtypes import NUMPY, Array
from jobspec.store.files import explained
from jobspec.store.importers.source import cut_short

#: magic → (version, element type)
HEADERS = {20240520: (1, "u16"), 20240801: (7, "u32")}
HEADER = np.dtype(("<i4", (256,)))


def read_tokens(path: Path, dtype: str) -> Array:
    """The tokens in `path`: [tokens]. Raises DataError."""
    if path.suffix == ".gz":
        raise cut_short(path, "a packed token file cannot be mapped; unpack it with gunzip first")
    with explained("read", path):
        raw = np.memmap(path, np.uint8, mode="r")
    body = _without_header(path, raw, dtype)
    width = NUMPY[dtype].itemsize
    if len(body) % width:
        raise cut_short(path, f"{len(body)} bytes are no whole number of {dtype} tokens ({width} bytes each)")
    return body.view(NUMPY[dtype])


def _without_header(path: Path, raw: Array, dtype: str) -> Array:
    if len(raw) < HEADER.itemsize:
        return raw
    magic, version, count, *rest = raw[: HEADER.itemsize].view("<i4").tolist()
    if magic not in HEADERS or any(rest):
        return raw
    if HEADERS[magic] != (version, dtype):
        raise cut_short(path, f"its header is of llm.c, version {version}, and does not go with {dtype}")
    body = raw[HEADER.itemsize :]
    if len(body) != count * NUMPY[dtype].itemsize:
        raise cut_short(path, f"its header says {count} tokens, but {len(body)} bytes follow")
    return body
