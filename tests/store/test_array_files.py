"""Arrays in files, NumPy's and idx: every element comes in as it is, a damaged file is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobspec.store.dtypes import Array
from jobspec.store.home import Home
from jobspec.store.importers import add
from jobspec.store.names import names_of
from tests.store.importing import IMAGES, LABELS, idx, npy, one, refused, write

# numpy


def test_npy_files_as_fields(home: Home, tmp_path: Path) -> None:
    x, y = npy(tmp_path, "a", IMAGES), npy(tmp_path, "b", LABELS)
    added, data = one(home, f"x={x}", f"y={y}", name="train")
    assert added.line == f"data train = table({added.root}, x=u8[X1 X2], y=u8)"
    assert added.notes == ("y: int64 stored as u8",)
    np.testing.assert_array_equal(data.array("x"), IMAGES)
    np.testing.assert_array_equal(data.array("y"), LABELS)
    assert names_of(home) == {"train": added.root}


def test_a_single_array_is_x_and_its_file_gives_the_name(home: Home, tmp_path: Path) -> None:
    added, data = one(home, npy(tmp_path, "My-images 2", IMAGES))
    assert added.name == "my_images_2"
    assert list(data.fields) == ["x"]
    added, _ = one(home, npy(tmp_path, "2024", IMAGES))
    assert added.name == "_2024"


def test_npz_fields_have_the_names_inside(home: Home, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "both.npz", img=IMAGES, lab=LABELS)
    added, data = one(home, tmp_path / "both.npz")
    assert added.line == f"data both = table({added.root}, img=u8[Img1 Img2], lab=u8)"
    np.testing.assert_array_equal(data.array("lab"), LABELS)
    np.savez(tmp_path / "one.npz", arr_0=IMAGES)
    _, data = one(home, f"x={tmp_path / 'one.npz'}")
    np.testing.assert_array_equal(data.array("x"), IMAGES)


def test_the_same_records_get_the_same_root_from_any_file(home: Home, tmp_path: Path) -> None:
    y = LABELS.astype(np.uint8)
    np.savez(tmp_path / "a.npz", y=LABELS, x=IMAGES)
    ways = [
        [str(tmp_path / "a.npz")],
        [f"x={npy(tmp_path, 'x', np.asfortranarray(IMAGES))}", f"y={npy(tmp_path, 'y', LABELS.astype('>i8'))}"],
        [f"y={write(tmp_path, 'y.idx', idx(y, 8))}", f"x={write(tmp_path, 'x.gz', gzip.compress(idx(IMAGES, 8)))}"],
    ]
    assert len({add(paths, home, name=f"n{n}")[0].root for n, paths in enumerate(ways)}) == 1


@given(
    hnp.arrays(
        st.sampled_from([np.dtype(f"{order}{kind}") for order in "<>" for kind in ("u1", "u2", "u4", "i4", "f4")]),
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
@settings(max_examples=40, deadline=None)
def test_every_element_type_comes_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, array: Array) -> None:
    folder = tmp_path_factory.mktemp("npy")
    _, data = one(Home(folder / "home"), npy(folder, "x", array))
    assert data.array("x").tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_npy_files_that_are_not_whole(home: Home, tmp_path: Path) -> None:
    path = npy(tmp_path, "x", IMAGES)
    good = path.read_bytes()
    for end in (1, 6, 9, 60, len(good) - 1):
        path.write_bytes(good[:end])
        assert str(path) in refused("E0412", home, path)
    path.write_bytes(good + b"\0")
    assert "ends at byte" in refused("E0412", home, path)


def test_pickles_are_never_read(home: Home, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    objects = np.array([Trap(), Trap()], object)
    np.save(tmp_path / "o.npy", objects)
    np.savez(tmp_path / "o.npz", x=objects)
    (tmp_path / "p.npy").write_bytes(b"\x80\x04\x95.")
    for name in ("o.npy", "o.npz", "p.npy"):
        refused("E0412", home, tmp_path / name)
        refused("E0412", home, tmp_path / name, format="npz")
    assert not (tmp_path / "sprung").exists()


def test_npz_files_that_are_not_whole(home: Home, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES)
    path = tmp_path / "a.npz"
    good = path.read_bytes()
    path.write_bytes(good[:-30])
    refused("E0412", home, path)
    at = good.index(IMAGES.tobytes())
    path.write_bytes(good[:at] + b"\xff" + good[at + 1 :])
    refused("E0412", home, path)


# idx


@pytest.mark.parametrize(
    ("code", "dtype", "stored"),
    [(8, "u1", "u8"), (9, "i1", "i32"), (11, ">i2", "i32"), (12, ">i4", "i32"), (13, ">f4", "f32"), (14, ">f8", "f32")],
)
def test_idx_types(home: Home, tmp_path: Path, code: int, dtype: str, stored: str) -> None:
    values = np.array([[0, 5], [100, 7 if dtype == "u1" else -7]]).astype(dtype)
    _, data = one(home, write(tmp_path, "x.idx", idx(values, code)))
    assert data.fields["x"].dtype == stored
    np.testing.assert_array_equal(data.array("x"), values)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_cut_anywhere_is_refused(home: Home, tmp_path: Path, packed: bool) -> None:
    good = idx(IMAGES, 8)
    for end in (2, 4, 10, 16, 17, len(good) - 1):
        cut = good[:end]
        path = write(tmp_path, "x.idx", gzip.compress(cut) if packed else cut)
        assert "ends" in refused("E0412", home, path)
    more = good + b"\0"
    refused("E0412", home, write(tmp_path, "x.idx", gzip.compress(more) if packed else more))


def test_idx_headers_that_lie(home: Home, tmp_path: Path) -> None:
    huge = bytes([0, 0, 8, 8]) + b"\xff" * 32
    assert "before its header says" in refused("E0412", home, write(tmp_path, "x.idx", huge))
    for head in (b"\0\1\x08\1", b"\0\0\x0a\1", b"\0\0\x08\0", b"\0\0\x08\x09"):
        assert "idx header" in refused("E0412", home, write(tmp_path, "x.idx", head + bytes(100)))


def test_damaged_gzip(home: Home, tmp_path: Path) -> None:
    good = gzip.compress(idx(np.arange(250, dtype=np.uint8), 8))
    for bad in (good[:-9], good[:30], good[:-6] + b"\xff" + good[-5:], good[:12] + b"\xff\xff" + good[14:]):
        assert "gzip" in refused("E0412", home, write(tmp_path, "x.idx.gz", bad))


def test_mnist(home: Home, shared_data: Path) -> None:
    folder = shared_data / "mnist"
    x, y = folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz"
    added, data = one(home, f"x={x}", f"y={y}", name="test")
    assert added.line == f"data test = table({added.root}, x=u8[X1 X2], y=u8)"
    assert data.records == 10000
    assert np.bincount(data.array("y"))[:3].tolist() == [980, 1135, 1032]
