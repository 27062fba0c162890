"""Importers: what comes in, comes out, and what is wrong with a file is said."""

from __future__ import annotations

import gzip
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobspec.ir.errors import DataError
from jobspec.store.datasets import DataSet, known_roots, open_set
from jobspec.store.dtypes import Array, dtype_name
from jobspec.store.files import StoreError
from jobspec.store.home import Home, beside
from jobspec.store.importers import AddedSet, add
from jobspec.store.importers.narrow import narrow
from jobspec.store.names import names_of
from tests.store.faults import FaultyFiles, drafts, faults

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


# CSV


def test_csv_with_a_label(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path, "iris.csv", "sepal (cm),kind,petal (cm)\r\n5.5,0,1\r\n\r\n6,2,1.25\r\n")
    added, data = one(home, path, label="kind")
    assert added.line == f"data iris = table({added.root}, x=f32[X], y=u8)"
    np.testing.assert_array_equal(data.array("x"), [[5.5, 1], [6, 1.25]])
    np.testing.assert_array_equal(data.array("y"), [0, 2])


def test_csv_columns_are_fields(home: Home, tmp_path: Path) -> None:
    text = "\ufeffa,b,c,d,e\n1,-1,256,0.5,1e3\n255,70000,65535, 2 ,\"3\"\n"
    _, data = one(home, write(tmp_path, "t.csv", text))
    assert {name: type.dtype for name, type in data.fields.items()} == {
        **{"a": "u8", "b": "i32", "c": "u16"},
        **{"d": "f32", "e": "u16"},
    }
    np.testing.assert_array_equal(data.array("b"), [-1, 70000])
    np.testing.assert_array_equal(data.array("e"), [1000, 3])


def test_tsv_and_gzip(home: Home, tmp_path: Path) -> None:
    _, data = one(home, write(tmp_path, "t.tsv", "a\tb\n1\t2\n"))
    assert data.records == 1
    _, data = one(home, write(tmp_path, "t.csv.gz", gzip.compress(b"a\n" + b"7\n" * 5000)))
    np.testing.assert_array_equal(data.array("a"), np.full(5000, 7))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("a,b\n1,2\n3\n", "E0413", "line 3: 1 cells where the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "E0413", "line 3: 3 cells"),
        ('a,b\n1,"2\n', "E0413", "not CSV"),
        ("a,b\n1,2\n3,red\n", "E0416", "line 3, column `b`: `red` is not a number"),
        ("a,b\n1,2\n3,\n", "E0416", "line 3, column `b`: the cell is empty"),
        ("a;b\n1;2\n", "E0416", "`1;2` is not a number"),
        ("a\nnan\n", "E0418", "record 0: nan"),
        ("a\n1\n1e39\n", "E0418", "record 1: inf"),
        ("a\n5000000000\n", "E0414", "--dtype a=f32"),
        ("1,2\n3,4\n", "E0419", "no header line"),
        ("\n\n", "E0419", "no header line"),
        ("a,a\n3,4\n", "E0419", "two columns `a`"),
        ("Width (cm)\n3\n", "E0419", "`Width (cm)` cannot be the name"),
        ("a,b\n", "E0415", "no records"),
        (b"a,b\n1,\xff\n", "E0421", "line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "E0421", "line 1"),
    ],
)
def test_bad_csv(home: Home, tmp_path: Path, text: bytes | str, code: str, said: str) -> None:
    assert said in refused(code, home, write(tmp_path, "t.csv", text))


def test_bad_csv_far_down(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a,b\n" + "1,2\n" * 9000 + "1,x\n")
    assert "line 9002, column `b`" in refused("E0416", home, path)


def test_a_label_that_is_not_there(home: Home, tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a,b\n1,2\n")
    assert "columns are a, b" in refused("E0419", home, path, label="kind")
    refused("E0419", home, write(tmp_path, "u.csv", "a\n1\n"), label="a")
    assert "no file is CSV" in refused("E0419", home, npy(tmp_path, "x", IMAGES), label="a")


# text and tokens


def test_text_is_one_token_per_character(home: Home, tmp_path: Path) -> None:
    text = "héllo\r\nwörld 🎈\n"
    added, data = one(home, write(tmp_path, "t.txt", text))
    letters = data.manifest.vocabulary
    assert letters == "".join(sorted(set(text)))
    assert "".join(letters[token] for token in data.array("tok")) == text
    assert added.line == f"data t = tokens({added.root}, u8)"


@given(st.text(min_size=1))
@settings(max_examples=40, deadline=None)
def test_text_round_trip(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("text")
    _, data = one(Home(folder / "home"), write(folder, "t.txt", text))
    letters = data.manifest.vocabulary or ""
    assert "".join(letters[token] for token in data.array("tok")) == text


@pytest.mark.parametrize(("count", "dtype"), [(256, "u8"), (257, "u16"), (65536, "u16"), (65537, "u32")])
def test_the_element_type_of_text_holds_its_characters(home: Home, tmp_path: Path, count: int, dtype: str) -> None:
    text = "".join(map(chr, range(0x10000, 0x10000 + count)))
    _, data = one(home, write(tmp_path, "t.txt", text))
    assert data.fields["tok"].dtype == dtype
    np.testing.assert_array_equal(data.array("tok"), np.arange(count))


def test_a_character_across_two_chunks(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobspec.store.importers.text.CHUNK", 3)
    text = "aé🎈€" * 5
    _, data = one(home, write(tmp_path, "t.txt", text))
    letters = data.manifest.vocabulary or ""
    assert "".join(letters[token] for token in data.array("tok")) == text
    bad = text.encode() + b"\xe2\x82"
    (tmp_path / "home").rename(tmp_path / "old")
    at = len(text.encode())
    assert f"at byte {at}" in refused("E0421", home, write(tmp_path, "b.txt", bad))


def test_text_that_is_not_text(home: Home, tmp_path: Path) -> None:
    assert "at byte 3" in refused("E0421", home, write(tmp_path, "t.txt", b"abc\xffdef"))
    refused("E0415", home, write(tmp_path, "e.txt", gzip.compress(b"")))


def test_split_text_shares_the_vocabulary(home: Home, shared_data: Path) -> None:
    train, val = add([str(shared_data / "tinyshakespeare" / "input.txt")], home, split="0.9", name="shakespeare")
    assert (train.name, val.name) == ("shakespeare_train", "shakespeare_val")
    assert (train.manifest.records, val.manifest.records) == (1003854, 111540)
    assert train.manifest.vocabulary == val.manifest.vocabulary
    assert len(train.manifest.vocabulary or "") == 65
    assert names_of(home) == {"shakespeare_train": train.root, "shakespeare_val": val.root}
    documented = (ROOMS / "docs" / "data.md").read_text()
    assert train.line in documented
    assert val.line in documented


@pytest.mark.parametrize(("dtype", "ending"), [("u16", "u16"), ("u32", "u32"), ("u16", "bin"), ("u32", "bin")])
def test_token_files(home: Home, tmp_path: Path, dtype: str, ending: str) -> None:
    tokens = np.array([1, 2, 50256, 0, 17], f"<u{int(dtype[1:]) // 8}")
    path = write(tmp_path, f"t.{ending}", tokens.tobytes())
    _, data = one(home, path, format=dtype if ending == "bin" else None)
    assert data.manifest.vocabulary is None
    np.testing.assert_array_equal(data.array("tok"), tokens)


def llmc(magic: int, version: int, tokens: Array, count: int | None = None) -> bytes:
    head = np.zeros(256, "<i4")
    head[:3] = magic, version, len(tokens) if count is None else count
    return head.tobytes() + tokens.tobytes()


def test_token_files_of_llmc(home: Home, tmp_path: Path) -> None:
    tokens = np.arange(10, dtype="<u2")
    _, data = one(home, write(tmp_path, "a.bin", llmc(20240520, 1, tokens)))
    np.testing.assert_array_equal(data.array("tok"), tokens)
    _, data = one(home, write(tmp_path, "b.bin", llmc(20240801, 7, tokens.astype("<u4"))))
    np.testing.assert_array_equal(data.array("tok"), tokens)


def test_bad_token_files(home: Home, tmp_path: Path) -> None:
    tokens = np.arange(10, dtype="<u2")
    assert "whole number" in refused("E0412", home, write(tmp_path, "t.u16", b"123"))
    assert "whole number" in refused("E0412", home, write(tmp_path, "t.u32", b"123456"))
    assert "says 11 tokens" in refused("E0412", home, write(tmp_path, "c.bin", llmc(20240520, 1, tokens, 11)))
    assert "llm.c" in refused("E0412", home, write(tmp_path, "d.u32", llmc(20240520, 1, tokens)))
    refused("E0415", home, write(tmp_path, "e.bin", llmc(20240520, 1, tokens[:0])))
    refused("E0412", home, write(tmp_path, "f.u16.gz", gzip.compress(tokens.tobytes())))


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
    assert "two files give the field `x`" in refused("E0419", home, x, y)
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
