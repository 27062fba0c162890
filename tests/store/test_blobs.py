"""Blobs: what is handed out hashes to its name."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.ir.digest import Digest, blob_digest
from jobspec.store import blobs
from jobspec.store.blobs import BlobDamaged, BlobMissing, BlobStore
from jobspec.store.files import StoreError
from tests.store.faults import Killed, drafts, faults

DATA = bytes(range(256)) * 5


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@given(st.binary(max_size=5000))
@settings(max_examples=30)
def test_round_trip(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder))
        name = store.put(data)
        assert name.hex == blake3(data).hexdigest()
        assert store.get(name) == data == bytes(store.map(name))
        assert list(store.names()) == [name]
        assert store.has(name)


def test_three_ways_in_give_one_name(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    assert store.put(DATA) == store.put_chunks([DATA[:7], DATA[7:]]) == store.put_file(tmp_path / "file")
    assert len(list(store.names())) == 1
    assert drafts(tmp_path) == []


def test_reading_makes_no_folder(store: BlobStore) -> None:
    assert not store.has(blob_digest(b"x"))
    assert list(store.names()) == []
    with pytest.raises(BlobMissing):
        store.get(blob_digest(b"x"))
    assert not store.folder.exists()


def test_what_is_there_is_not_written_again(store: BlobStore) -> None:
    name = store.put(DATA)
    before = store.path(name).stat()
    store.put(DATA)
    store.put_chunks([DATA])
    after = store.path(name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@given(st.integers(0, len(DATA) * 8 - 1))
@settings(max_examples=40)
def test_one_flipped_bit_is_refused_and_mended_by_put(bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder))
        name = store.put(DATA)
        store.map(name)
        changed = bytearray(DATA)
        changed[bit // 8] ^= 1 << bit % 8
        store.path(name).write_bytes(changed)
        check_refused(store, name, blob_digest(bytes(changed)))
        assert store.put(DATA) == name
        assert store.get(name) == DATA


def check_refused(store: BlobStore, name: Digest, actual: Digest) -> None:
    for read in (store.get, store.map):
        with pytest.raises(BlobDamaged) as caught:
            read(name)
        error = caught.value
        assert (error.code, error.exit_code) == ("E0705", 5)
        for part in (str(name), str(actual), str(store.path(name))):
            assert part in error.reason


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA[: len(DATA) // 2], DATA + b"\0"])
def test_a_file_of_another_length_is_refused(store: BlobStore, data: bytes) -> None:
    name = store.put(DATA)
    store.path(name).write_bytes(data)
    check_refused(store, name, blob_digest(data))


def test_a_change_that_keeps_the_time_stamp_is_seen(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying tools restore times; the inode's own change time cannot be set back."""
    monkeypatch.setattr(blobs, "SETTLED_NS", 0)
    name = store.put(DATA)
    store.map(name)
    path = store.path(name)
    stamp = path.stat()
    time.sleep(0.05)
    path.write_bytes(b"\1" + DATA[1:])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(BlobDamaged):
        store.map(name)


def test_a_settled_file_is_hashed_once(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    name = store.put(DATA)
    hashed: list[Digest] = []

    def counting(data: bytes) -> Digest:
        hashed.append(blob_digest(data))
        return hashed[-1]

    monkeypatch.setattr(blobs, "blob_digest", counting)
    monkeypatch.setattr(blobs, "SETTLED_NS", 1 << 62)
    store.map(name)
    store.map(name)
    assert len(hashed) == 2, "a file written this very moment is not remembered"
    monkeypatch.setattr(blobs, "SETTLED_NS", 0)
    time.sleep(0.01)
    for _ in range(3):
        BlobStore(store.folder).map(name)
    assert len(hashed) == 3
    store.get(name)
    assert len(hashed) == 4


def test_search_folders_are_read_first_and_never_written(tmp_path: Path) -> None:
    beside = BlobStore(tmp_path / "beside")
    name = beside.put(DATA)
    store = BlobStore(tmp_path / "own", [tmp_path / "beside"])
    assert store.get(name) == DATA
    assert store.path(name).parent == beside.folder
    assert list(store.names()) == []
    store.put(DATA)
    assert store.own_path(name).is_file()
    beside.path(name).write_bytes(b"")
    with pytest.raises(BlobDamaged, match="beside"):
        store.get(name)


def test_missing_says_where_it_looked(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "own", [tmp_path / "beside"])
    with pytest.raises(BlobMissing) as caught:
        store.map(blob_digest(b"x"))
    assert (caught.value.code, caught.value.exit_code) == ("E0704", 5)
    assert str(tmp_path / "own") in caught.value.reason
    assert str(tmp_path / "beside") in caught.value.reason


def test_remove(store: BlobStore) -> None:
    name = store.put(DATA)
    mapped = store.map(name)
    store.remove(name)
    assert not store.has(name)
    assert bytes(mapped) == DATA


@pytest.mark.parametrize("error", [28, None])
def test_a_failure_at_any_operation_leaves_no_false_blob(tmp_path: Path, error: int | None) -> None:
    folder = tmp_path / "blobs"
    for raised in faults(lambda files: BlobStore(folder, (), files).put_chunks([DATA, DATA]), error):
        assert isinstance(raised, StoreError if error else Killed)
        store = BlobStore(folder)
        assert all(store.get(name) == DATA * 2 for name in store.names())
        assert error is None or drafts(tmp_path) == []
        for name in list(store.names()):
            store.remove(name)


def test_other_files_are_no_blobs(store: BlobStore) -> None:
    store.put(DATA)
    for name in ("README.md", "0" * 63, "A" * 64, "0" * 64 + ".manifest", ".0123.part"):
        (store.folder / name).write_bytes(b"")
    assert len(list(store.names())) == 1
