"""The weights file: what others read, the same bytes every time, nothing but the format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.runtime.safetensors import SafetensorsError, from_bytes, to_chunks

TENSORS: dict[str, np.ndarray] = {
    "attn.wq": np.arange(6, dtype="<f4").reshape(2, 3),
    "b": np.array(1.5, "<f4"),
    "count": np.array([7], "<u4"),
    "mask": np.array([True, False]),
    "small": np.array([1, 2, 3], "u1"),
}


def written(tensors: dict[str, np.ndarray] = TENSORS, **about: str) -> bytes:
    return b"".join(to_chunks(tensors, about))


def test_read_back() -> None:
    found, about = from_bytes(written(job="b3:1", state="b3:2"))
    assert list(found) == list(TENSORS) and about == {"job": "b3:1", "state": "b3:2"}
    for name, array in TENSORS.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert (found[name] == array).all()


def test_metadata_in_any_order_gives_the_same_bytes() -> None:
    assert written(a="1", b="2") == written(b="2", a="1")


def test_the_official_library_reads_it() -> None:
    official = pytest.importorskip("safetensors.numpy", reason="needs the safetensors package")
    found = official.load(written(job="b3:1"))
    assert set(found) == set(TENSORS)
    assert all((found[name] == TENSORS[name]).all() and found[name].shape == TENSORS[name].shape for name in found)


def test_it_reads_the_official_library() -> None:
    official = pytest.importorskip("safetensors.numpy", reason="needs the safetensors package")
    found, about = from_bytes(official.save(TENSORS, {"a": "1"}))
    assert about == {"a": "1"}
    assert all((found[name] == TENSORS[name]).all() for name in TENSORS)


def header(**entries: Any) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def entry(begin: int = 0, end: int = 4, shape: tuple[int, ...] = (1,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{{",
        (30).to_bytes(8, "little") + b'{"w":1,"w":2}'.ljust(30),
        header(w=1),
        header(w=entry()) + bytes(3),
        header(w=entry()) + bytes(5),
        header(w=entry(1, 5)) + bytes(5),
        header(w=entry(), v=entry()) + bytes(4),
        header(w=entry(end=8)) + bytes(8),
        header(w=entry(shape=(-1,))) + bytes(4),
        header(w=entry(dtype="F16", end=2)) + bytes(2),
        header(w={**entry(), "more": 1}) + bytes(4),
        header(__metadata__={"a": 1}),
    ],
)
def test_what_the_format_forbids_is_refused(data: bytes) -> None:
    with pytest.raises(SafetensorsError):
        from_bytes(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        from_bytes(data)
    except SafetensorsError as error:
        assert str(error)
