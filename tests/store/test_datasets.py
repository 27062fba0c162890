"""Data sets: the records that went in, or an error that says where they are gone."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.ir.errors import DataError
from jobspec.ir.types import Type
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import DataSet, known_roots, load_manifest, open_set, remove_set, resolve_root
from jobspec.store.dtypes import Array
from jobspec.store.files import StoreError
from jobspec.store.home import Home
from jobspec.store.names import drop_names, names_of, set_name
from jobspec.store.shards import write_table, write_tokens
from tests.store.faults import FaultyFiles, Killed, drafts, faults

RECORDS = 23
X = np.arange(RECORDS * 6, dtype=np.float32).reshape(RECORDS, 2, 3)
Y = np.arange(RECORDS, dtype=np.uint8)[::-1]
TOKENS = np.arange(100, 100 + 50, dtype=np.uint16)
#: X has 24 bytes a record: five records a shard, the last shard has three
SHARD = 120


@pytest.fixture
def table(home: Home) -> DataSet:
    store = home.data()
    return open_set(store, write_table(store, {"x": X, "y": Y}, shard=SHARD).root)


@pytest.fixture
def tokens(home: Home) -> DataSet:
    store = home.data()
    return open_set(store, write_tokens(store, TOKENS, shard=14).root)


def piece_path(data: DataSet, field: str, shard: int) -> Path:
    column = list(data.fields).index(field)
    return data.store.path(data.manifest.shards[shard].pieces[column].name)


def test_what_is_known_of_a_set(table: DataSet) -> None:
    assert table.records == RECORDS
    assert table.fields == {"x": Type("f32", (2, 3)), "y": Type("u8")}
    assert [shard.records for shard in table.manifest.shards] == [5, 5, 5, 5, 3]
    assert table.manifest.nbytes == X.nbytes + Y.nbytes


def test_fields_come_back_as_they_were(table: DataSet) -> None:
    for field, expected in (("x", X), ("y", Y)):
        found = table.array(field)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(table.shard("x", 1), X[5:10])
    with pytest.raises(ValueError, match="read-only"):
        table.shard("x", 0)[0] = 0


@given(st.lists(st.integers(0, RECORDS - 1), max_size=40), st.sampled_from([24, 50, 120, 1 << 20]))
@settings(max_examples=30, deadline=None)
def test_take_is_indexing(indices: list[int], shard: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder))
        data = DataSet(store, write_table(store, {"x": X, "y": Y}, shard=shard))
        wanted = np.array(indices, np.int64)
        np.testing.assert_array_equal(data.take("x", wanted), X[wanted])
        np.testing.assert_array_equal(data.take("y", wanted.reshape(-1, 1)), Y[wanted.reshape(-1, 1)])


@pytest.mark.parametrize("index", [-1, RECORDS, 1 << 40])
@pytest.mark.parametrize("shard", [SHARD, 1 << 20])
def test_a_number_outside_the_records_is_refused(home: Home, index: int, shard: int) -> None:
    data = DataSet(home.data(), write_table(home.data(), {"x": X}, shard=shard))
    with pytest.raises(IndexError, match=r"outside 0\.\.22"):
        data.take("x", np.array([0, index]))


def test_windows_cross_shards(tokens: DataSet) -> None:
    assert len(tokens.manifest.shards) == 8
    starts = np.array([0, 5, 6, 7, 30, 49 - 19])
    expected = np.stack([TOKENS[start : start + 20] for start in starts])
    np.testing.assert_array_equal(tokens.windows(starts, 20), expected)
    with pytest.raises(IndexError):
        tokens.windows(np.array([31]), 20)


def test_the_root_does_not_depend_on_order_layout_or_byte_order(home: Home) -> None:
    store = home.data()
    roots = {
        write_table(store, {"x": X, "y": Y}).root,
        write_table(store, {"y": Y.copy(), "x": np.asfortranarray(X)}).root,
        write_table(store, {"x": X.astype(">f4"), "y": Y}).root,
    }
    assert len(roots) == 1
    assert write_table(store, {"x": X[:-1], "y": Y[:-1]}).root not in roots


def test_a_record_larger_than_a_shard_stands_alone(home: Home) -> None:
    manifest = write_table(home.data(), {"x": X}, shard=10)
    assert [shard.records for shard in manifest.shards] == [1] * RECORDS


@pytest.mark.parametrize(("field", "shard"), [("x", 0), ("x", 4), ("y", 2)])
def test_every_flipped_bit_of_a_shard_is_refused_where_it_is_used(table: DataSet, field: str, shard: int) -> None:
    path = piece_path(table, field, shard)
    good = path.read_bytes()
    for bit in range(0, len(good) * 8, 7):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        check_error(open_set(table.store, table.root), field, shard, "E0404", f"in bytes 0..{len(good) - 1}")


def check_error(data: DataSet, field: str, shard: int, code: str, *more: str) -> None:
    """`take` of the shard's first record and `verify` both refuse, naming all there is to name."""
    first, last = shard * 5, min(shard * 5 + 4, RECORDS - 1)
    path = str(data.store.folder)
    for use in (lambda: data.take(field, np.array([first])), data.verify):
        with pytest.raises(DataError) as caught:
            use()
        error = caught.value
        assert (error.code, error.exit_code) == (code, 5)
        place = f"shard {shard} of 5 (field `{field}`, records {first}..{last})"
        for part in (data.root.short, place, *more, *([path] if code != "E0403" else [])):
            assert part in error.reason


def test_a_missing_shard_is_named(table: DataSet) -> None:
    path = piece_path(table, "x", 3)
    path.unlink()
    check_error(table, "x", 3, "E0403", path.name)


@pytest.mark.parametrize("size", [0, 1, 24, 119])
def test_a_cut_shard_is_refused_naming_what_is_gone(table: DataSet, size: int) -> None:
    path = piece_path(table, "x", 1)
    path.write_bytes(path.read_bytes()[:size])
    gone = f"bytes {size}..119 (from record {5 + size // 24} on) are gone"
    check_error(table, "x", 1, "E0405", f"holds {size} of 120 bytes", gone)


def test_a_shard_with_more_bytes_is_refused(table: DataSet) -> None:
    path = piece_path(table, "x", 1)
    path.write_bytes(path.read_bytes() + b"\0")
    check_error(table, "x", 1, "E0405", "holds 121 of 120 bytes")


def test_good_shards_of_a_damaged_set_are_still_read_and_verify_lists_every_problem(table: DataSet) -> None:
    piece_path(table, "x", 1).unlink()
    piece_path(table, "y", 3).write_bytes(b"cut")
    np.testing.assert_array_equal(table.take("x", np.arange(5)), X[:5])
    assert [error.code for error in table.problems()] == ["E0403", "E0405"]


def test_every_flipped_bit_of_a_manifest_is_refused(table: DataSet) -> None:
    path = table.store.folder / (table.root.hex + ".manifest")
    good = path.read_bytes()
    for bit in range(0, len(good) * 8, 3):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(DataError) as caught:
            open_set(table.store, table.root)
        assert (caught.value.code, caught.value.exit_code) == ("E0402", 5)
        assert str(path) in caught.value.reason


def test_another_sets_manifest_is_refused(table: DataSet, tokens: DataSet) -> None:
    path = table.store.folder / (table.root.hex + ".manifest")
    path.write_bytes(tokens.manifest.to_bytes())
    with pytest.raises(DataError, match="have the root") as caught:
        open_set(table.store, table.root)
    assert caught.value.code == "E0402"


def test_an_unknown_root_says_where_it_was_looked_for(home: Home, table: DataSet, tmp_path: Path) -> None:
    remove_set(table.store, table.root)
    with pytest.raises(DataError) as caught:
        open_set(home.data([tmp_path / "beside"]), table.root)
    assert caught.value.code == "E0401"
    assert str(tmp_path / "beside") in caught.value.reason


def test_data_beside_the_job_is_found(home: Home, tmp_path: Path) -> None:
    beside = BlobStore(tmp_path / "data")
    root = write_table(beside, {"x": X}).root
    store = home.data([tmp_path / "data"])
    np.testing.assert_array_equal(open_set(store, root).array("x"), X)
    assert known_roots(store) == [root]
    assert known_roots(home.data()) == []


def test_a_beginning_of_the_root_is_enough_where_it_fits_one(table: DataSet, tokens: DataSet) -> None:
    store, text = table.store, str(table.root)
    assert resolve_root(store, text[:11]) == resolve_root(store, text) == table.root
    twin = store.folder / (table.root.hex[:10] + "0" * 54 + ".manifest")
    twin.write_bytes(b"")
    with pytest.raises(DataError, match="begins several") as caught:
        resolve_root(store, text[:13])
    assert caught.value.code == "E0406"
    assert resolve_root(store, text[:-1]) == table.root


@pytest.mark.parametrize("text", ["b3:0000000", "b3:", "train", "b3:0000000g", "b3:" + "0" * 65, "b3:00000000"])
def test_what_names_no_set(home: Home, text: str) -> None:
    with pytest.raises(DataError) as caught:
        resolve_root(home.data(), text)
    assert caught.value.code == "E0401"


def test_a_declaration_must_fit(table: DataSet) -> None:
    good = (("x", Type("f32", (2, 3))), ("y", Type("u8")))
    table.check_declared("table", good)
    table.check_declared("table", good[1:])
    for kind, fields, said in [
        ("tokens", good, "it is a table"),
        ("table", (("x", Type("u8", (2, 3))),), "`x` is f32[2 3], and not u8[2 3]"),
        ("table", (("x", Type("f32", (6,))),), "`x` is f32[2 3], and not f32[6]"),
        ("table", (("z", Type("u8")),), "it has no field `z`"),
    ]:
        with pytest.raises(DataError, match=re.escape(said)) as caught:
            table.check_declared(kind, fields)
        assert caught.value.code == "E0407"
        assert caught.value.help is not None
        assert table.manifest.declaration() in caught.value.help


def test_removing_keeps_the_shards_of_others(home: Home) -> None:
    store = home.data()
    both = write_table(store, {"x": X, "y": Y})
    one = write_table(store, {"x": X})
    set_name(home, "mine", both.root)
    set_name(home, "other", one.root)
    assert remove_set(store, both.root) == Y.nbytes
    drop_names(home, both.root)
    assert known_roots(store) == [one.root]
    open_set(store, one.root).verify()
    assert names_of(home) == {"other": one.root}
    assert remove_set(store, one.root) == X.nbytes
    assert list(store.names()) == []


def test_removing_a_set_that_lacks_a_shard_frees_what_is_there(home: Home) -> None:
    data = open_set(home.data(), write_table(home.data(), {"x": X, "y": Y}).root)
    piece_path(data, "y", 0).unlink()
    assert remove_set(home.data(), data.root) == X.nbytes
    assert list(home.data().names()) == []


def test_removing_a_damaged_set_takes_its_manifest_alone(table: DataSet) -> None:
    (table.store.folder / (table.root.hex + ".manifest")).write_bytes(b"")
    assert remove_set(table.store, table.root) == 0
    assert known_roots(table.store) == []


def test_removing_never_touches_data_beside_a_job(home: Home, tmp_path: Path) -> None:
    beside = BlobStore(tmp_path / "data")
    root = write_table(beside, {"x": X}).root
    with pytest.raises(DataError, match="no data set"):
        remove_set(home.data([tmp_path / "data"]), root)
    open_set(beside, root).verify()


@pytest.mark.parametrize("error", [28, None])
def test_a_failure_at_any_operation_leaves_no_set_or_a_whole_one(tmp_path: Path, error: int | None) -> None:
    folder = tmp_path / "data"

    def write(files: FaultyFiles) -> None:
        write_table(BlobStore(folder, (), files), {"x": X, "y": Y}, shard=240)

    for raised in faults(write, error):
        assert isinstance(raised, StoreError if error else Killed)
        for data in sets_in(folder):
            data.verify()
        assert error is None or drafts(folder) == []
        for path in folder.glob("*") if folder.is_dir() else ():
            path.unlink()


def sets_in(folder: Path) -> Iterator[DataSet]:
    store = BlobStore(folder)
    for root in known_roots(store):
        yield DataSet(store, load_manifest(store, root))


def test_the_shipped_digits_are_whole_and_are_the_originals(shared_data: Path) -> None:
    x: Array = np.load(shared_data / "digits" / "digits_X_u8.npy")
    y: Array = np.load(shared_data / "digits" / "digits_y.npy")
    found = {data.records: data for data in shipped()}
    every = np.arange(1797)
    for records, rows in ((1437, every[every % 5 > 0]), (360, every[::5])):
        np.testing.assert_array_equal(found[records].array("x"), x[rows])
        np.testing.assert_array_equal(found[records].array("y"), y[rows])


def test_the_shipped_data_is_whole() -> None:
    for data in shipped():
        data.verify()
    digits = [data.manifest for data in shipped() if data.manifest.declaration().endswith("x=u8[X], y=u8)")]
    assert sorted(manifest.records for manifest in digits) == [360, 1437]
    assert {manifest.axes() for manifest in digits} == {"dim X=64"}


def shipped() -> list[DataSet]:
    return list(sets_in(Path(__file__).parents[2] / "specs" / "data"))


def test_names_are_replaced_and_strange_files_passed_over(home: Home, table: DataSet, tokens: DataSet) -> None:
    set_name(home, "train", table.root)
    set_name(home, "train", tokens.root)
    (home.names / "broken").write_bytes(b"\xff")
    (home.names / "NOT A NAME").write_bytes(b"")
    assert names_of(home) == {"train": tokens.root}
