"""Importers, whatever the format: element types, rows and shares, names, files that are none, disks that fill up."""

from __future__ import annotations

import gzip
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from jobspec.store.datasets import known_roots, open_set
from jobspec.store.dtypes import Array, dtype_name
from jobspec.store.files import StoreError
from jobspec.store.home import Home, beside
from jobspec.store.importers import add
from jobspec.store.importers.narrow import narrow
from jobspec.store.names import names_of
from tests.store.faults import FaultyFiles, drafts, faults
from tests.store.importing import IMAGES, LABELS, ROOMS, idx, npy, one, refused, write

# element types


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (np.array([True, False]), "u8"),
        (np.array([0, 255], np.int64), "u8"),
        (np.array([0, 256], np.uint64), "u16"),
        (np.array([0, -1], np.int8), "i32"),
        (np.array([0, 65536], np.int64), "i32"),
        (np.array([0, 1 << 31], np.int64), "u32"),
        (np.array([0, 1], np.uint32), "u32"),
        (np.array([0.5, 1], np.float16), "f32"),
        (np.array([0.1, 1e-40]), "f32"),
    ],
)
def test_the_rule_of_element_types(values: Array, stored: str) -> None:
    found = narrow("x", values)
    assert dtype_name(found.dtype) == stored
    np.testing.assert_array_equal(found, values.astype(found.dtype))


@pytest.mark.parametrize(
    ("values", "wanted", "code", "said"),
    [
        (np.array([0, 300]), "u8", "E0414", "record 1: 300 is not a whole number from 0 to 255"),
        (np.array([[0, 1], [2, -1]]), "u16", "E0414", "record 1: -1"),
        (np.array([1.5]), "u8", "E0414", "record 0: 1.5"),
        (np.array([1]), "f64", "E0414", "`f64` is not an element type"),
        (np.array([0, -1, 1 << 31]), None, "E0414", "from -1 to 2147483648"),
        (np.array([1, np.nan], np.float32), None, "E0418", "record 1: nan"),
        (np.array([1, 1e300]), None, "E0418", "record 1: inf"),
        (np.array([np.inf]), "u8", "E0418", "record 0: inf"),
        (np.array(["a", "b"]), None, "E0420", "not numbers"),
        (np.array([1j]), None, "E0420", "not numbers"),
        (np.array(["2020-01-01"], "M8[D]"), None, "E0420", "not numbers"),
    ],
)
def test_values_that_do_not_fit(
    home: Home, tmp_path: Path, values: Array, wanted: str | None, code: str, said: str
) -> None:
    dtypes = {"x": wanted} if wanted else None
    assert said in refused(code, home, npy(tmp_path, "x", values), dtypes=dtypes)


def test_an_element_type_asked_for(home: Home, tmp_path: Path) -> None:
    _, data = one(home, npy(tmp_path, "x", np.array([1, 2])), dtypes={"x": "f32"})
    assert data.fields["x"].dtype == "f32"
    _, data = one(home, npy(tmp_path, "x", np.array([1.0, 2.0])), dtypes={"x": "u16"})
    assert data.fields["x"].dtype == "u16"


# what is named, and how it is cut


def test_rows(home: Home, tmp_path: Path) -> None:
    path = npy(tmp_path, "x", IMAGES)
    for rows, expected in (("1:3", IMAGES[1:3]), (":2", IMAGES[:2]), ("4:", IMAGES[4:]), (":", IMAGES)):
        np.testing.assert_array_equal(one(home, path, rows=rows)[1].array("x"), expected)


@pytest.mark.parametrize("rows", ["0:6", "3:3", "4:2", "0:0", "5:", "-1:2", "1", "a:b", "1:2:3", ""])
def test_rows_that_are_not_there(home: Home, tmp_path: Path, rows: str) -> None:
    assert "0:5" in refused("E0422", home, npy(tmp_path, "x", IMAGES), rows=rows)


def test_split_rounds_down_exactly(home: Home, tmp_path: Path) -> None:
    """0.29 * 100 is 28.999… in binary64, but 29 records are 0.29 of 100."""
    train, val = add([str(npy(tmp_path, "x", np.arange(100)))], home, split="0.29")
    assert (train.name, train.manifest.records, val.manifest.records) == ("x_train", 29, 71)


@pytest.mark.parametrize("share", ["0", "1", "0.0", "0.1", "1.5", "-0.5", "half", "nan", "1/2"])
def test_a_share_that_leaves_nothing(home: Home, tmp_path: Path, share: str) -> None:
    refused("E0422", home, npy(tmp_path, "x", IMAGES), split=share)


def test_what_is_named_wrong(home: Home, tmp_path: Path) -> None:
    x, y = npy(tmp_path, "x", IMAGES), npy(tmp_path, "y", LABELS)
    text = write(tmp_path, "t.txt", "text")
    np.savez(tmp_path / "two.npz", a=LABELS, b=LABELS)
    assert "4 records" in refused("E0417", home, f"x={x}", f"y={npy(tmp_path, 'short', LABELS[:4])}")
    assert f"`x`, one of them {y}" in refused("E0419", home, x, y)
    assert "holds 2 fields" in refused("E0419", home, f"x={tmp_path / 'two.npz'}")
    assert "--dtype names the field `z`" in refused("E0419", home, x, dtypes={"z": "u8"})
    assert "data set" in refused("E0419", home, x, name="Train")
    refused("E0417", home, x, text)
    refused("E0419", home, f"x={text}")
    refused("E0419", home, text, dtypes={"tok": "u8"})


def test_files_that_cannot_be_taken(home: Home, tmp_path: Path) -> None:
    assert "no file" in refused("E0410", home, tmp_path / "absent.npy")
    assert "not a file" in refused("E0410", home, tmp_path)
    refused("E0410", home)
    refused("E0411", home, write(tmp_path, "data.bin", b"0123456789"))
    refused("E0411", home, write(tmp_path, "data.jpg", b"\xff\xd8\xff"))
    assert "npy, npz" in refused("E0411", home, npy(tmp_path, "x", IMAGES), format="parquet")
    for name in ("e.npy", "e.csv", "e.txt", "e.u16", "e"):
        assert "is empty" in refused("E0415", home, write(tmp_path, name, b""))
    refused("E0415", home, npy(tmp_path, "none", IMAGES[:0]))
    refused("E0415", home, npy(tmp_path, "scalar", np.array(3)))


def test_the_format_is_told_from_the_first_bytes_where_the_ending_is_silent(home: Home, tmp_path: Path) -> None:
    first = npy(tmp_path, "x", IMAGES)
    root = one(home, first)[0].root
    np.savez(tmp_path / "z.npz", x=IMAGES)
    for data in (first.read_bytes(), (tmp_path / "z.npz").read_bytes(), idx(IMAGES, 8), gzip.compress(idx(IMAGES, 8))):
        assert one(home, write(tmp_path, "images-ubyte", data))[0].root == root


def test_data_can_be_put_beside_a_job(home: Home, tmp_path: Path) -> None:
    (added,) = add([str(npy(tmp_path, "x", IMAGES))], home, into=tmp_path / "jobs" / "data")
    assert known_roots(home.data()) == []
    assert names_of(home) == {}
    store = home.data(beside(tmp_path / "jobs" / "my.job"))
    np.testing.assert_array_equal(open_set(store, added.root).array("x"), IMAGES)


def test_what_a_killed_process_left_is_swept(home: Home, tmp_path: Path) -> None:
    left = home.folder / "data" / ".0123.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    one(home, npy(tmp_path, "x", IMAGES))
    assert not left.exists()


def test_a_full_disk_at_any_operation(tmp_path: Path) -> None:
    path = npy(tmp_path, "x", IMAGES)
    for raised in faults(lambda files: add([str(path)], Home(tmp_path / "home", files))):
        assert isinstance(raised, StoreError)
        assert raised.code == "E0701"
        assert drafts(tmp_path) == []
    assert open_set(Home(tmp_path / "home").data(), one(Home(tmp_path / "home"), path)[0].root).records == 5


def test_adding_again_writes_only_manifest_and_name(home: Home, tmp_path: Path) -> None:
    path = str(npy(tmp_path, "x", IMAGES))
    add([path], home)
    files = FaultyFiles()
    add([path], Home(home.folder, files))
    assert files.done.count("create") == 2


def test_every_code_the_store_uses_is_explained() -> None:
    codes = tomllib.loads((ROOMS / "jobspec" / "codes.toml").read_text())
    sources = [path.read_text() for path in (ROOMS / "jobspec" / "store").rglob("*.py")]
    used = {word for text in sources for word in text.split('"') if word[:2] == "E0" and word[2:].isdigit()}
    assert len(used) >= 25
    assert used <= set(codes)
    assert all(codes[code]["title"] and codes[code]["text"] for code in used)
