"""Tables (CSV, TSV), text and tokens: they come in as they stand; what is wrong is said with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.store.dtypes import Array
from jobspec.store.home import Home
from jobspec.store.importers import add
from jobspec.store.names import names_of
from tests.store.importing import IMAGES, ROOMS, npy, one, refused, write

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
        ("a;b\n1;2\n", "E0416", "`1;2` is not a number | put commas between the cells (tabs in a .tsv), not `;`"),
        ("a\tb\n1,5\t2\n", "E0413", "line 2: 2 cells where the header has 1 | put commas between"),
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
