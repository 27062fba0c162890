"""Checkpoints: the bits that went in, or the tensor that is wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobspec.ir.canonical import encode
from jobspec.ir.digest import Digest, digest, merkle_root
from jobspec.ir.errors import DataError
from jobspec.ir.types import DTYPES, Type
from jobspec.store import checkpoint
from jobspec.store.blobs import BlobStore
from jobspec.store.checkpoint import Checkpoint, Tensor, from_bytes, load, root_of, save, state_root, to_bytes
from jobspec.store.dtypes import NUMPY, Array
from jobspec.store.files import StoreError
from tests.store.faults import FaultyFiles, Killed, drafts, faults

JOB = digest("job", b"a job")
STATE: dict[str, Array] = {
    "w": np.arange(12, dtype=np.float32).reshape(3, 4),
    "w/m": np.full((3, 4), -0.0, np.float32),
    "count": np.array(7, np.int32),
    "mask": np.array([True, False]),
    "none": np.zeros((0, 4), np.float32),
}
ARRAYS = hnp.arrays(st.sampled_from(list(NUMPY.values())), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "states")


def is_whole(store: BlobStore, name: Digest) -> bool:
    """Whether the checkpoint and every tensor of it can be loaded."""
    try:
        load(store, name)
    except DataError:
        return False
    return True


def same_bits(left: Array, right: Array) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@given(st.dictionaries(st.text(min_size=1, max_size=10), ARRAYS, max_size=5), st.integers(0, 1 << 40))
@settings(max_examples=30, deadline=None)
def test_round_trip(tensors: dict[str, Array], step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = BlobStore(Path(folder))
        name = save(store, JOB, step, tensors)
        found, loaded = load(store, name)
        assert (found.job, found.step, found.state) == (JOB, step, state_root(tensors))
        assert list(loaded) == list(tensors)
        assert all(same_bits(loaded[key], tensors[key]) for key in tensors)
        assert is_whole(store, name)


def test_every_element_type_of_the_ir_can_be_stored() -> None:
    assert set(NUMPY) == set(DTYPES)
    assert all(NUMPY[name].itemsize == size for name, size in DTYPES.items())


def test_the_root_is_what_the_documentation_says() -> None:
    kinds = {"w": "f32", "w/m": "f32", "count": "i32", "mask": "bool", "none": "f32"}
    leaves = [
        encode([name, kinds[name], list(array.shape), blake3(array.tobytes()).digest()])
        for name, array in STATE.items()
    ]
    assert state_root(STATE) == merkle_root("state", leaves)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {"v" if key == "w" else key: array for key, array in s.items()},
        lambda s: {**s, "w": s["w"].reshape(4, 3)},
        lambda s: {**s, "w": s["w"].view(np.int32)},
        lambda s: {**s, "w/m": np.zeros((3, 4), np.float32)},
        lambda s: {key: s[key] for key in reversed(s)},
        lambda s: {key: s[key] for key in list(s)[:-1]},
    ],
    ids=["name", "shape", "dtype", "sign of zero", "order", "one less"],
)
def test_each_part_of_a_state_counts(change: Callable[[dict[str, Array]], dict[str, Array]]) -> None:
    assert state_root(change(STATE)) != state_root(STATE)


def test_layout_and_byte_order_do_not_count() -> None:
    other = {key: np.asarray(array, array.dtype.newbyteorder(">"), order="F") for key, array in STATE.items()}
    assert state_root(other) == state_root(STATE)


def test_a_large_tensor_is_hashed_with_threads_to_the_same_root(store: BlobStore) -> None:
    large = np.arange(1 << 19, dtype=np.float32)
    name = save(store, JOB, 0, {"large": large})
    assert checkpoint.read(store, name).tensors[0].blob.raw == blake3(large.tobytes()).digest()


def test_what_has_no_element_type_is_refused(store: BlobStore) -> None:
    with pytest.raises(ValueError, match="float64"):
        state_root({"w": np.zeros(3)})
    with pytest.raises(ValueError, match="float64"):
        save(store, JOB, 0, {"w": np.zeros(3)})


def test_unchanged_tensors_are_not_written_again(store: BlobStore) -> None:
    save(store, JOB, 1, STATE)
    before = {name: store.path(name).stat().st_ino for name in store.names()}
    save(store, JOB, 2, {**STATE, "w": STATE["w"] + 1})
    after = {name: store.path(name).stat().st_ino for name in store.names()}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 2


def test_tensors_are_on_disk_before_the_list_that_names_them(tmp_path: Path) -> None:
    files = FaultyFiles()
    save(BlobStore(tmp_path, (), files), JOB, 1, {"a": STATE["w"], "b": STATE["mask"]})
    tensor = ["create", "write", "sync", "close", "rename"]
    assert files.done == [*tensor, *tensor, "sync_folder", *tensor, "sync_folder"]


def test_every_flipped_bit_of_a_tensor_is_refused_naming_it(store: BlobStore) -> None:
    name = save(store, JOB, 1, STATE)
    path = store.path(checkpoint.read(store, name).tensors[0].blob)
    good = path.read_bytes()
    for bit in range(0, len(good) * 8, 5):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(DataError, match="tensor `w`") as caught:
            load(store, name)
        assert (caught.value.code, caught.value.exit_code) == ("E0709", 5)
        assert str(path) in caught.value.reason
        assert not is_whole(store, name)


@pytest.mark.parametrize("size", [0, 1, 47])
def test_a_cut_or_missing_tensor_is_named(store: BlobStore, size: int) -> None:
    name = save(store, JOB, 1, STATE)
    path = store.path(checkpoint.read(store, name).tensors[0].blob)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="tensor `w`"):
        load(store, name)
    path.unlink()
    with pytest.raises(DataError, match="tensor `w`"):
        load(store, name)


def test_every_flipped_byte_of_the_list_is_refused(store: BlobStore) -> None:
    name = save(store, JOB, 1, STATE)
    path = store.path(name)
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(DataError) as caught:
            load(store, name)
        assert caught.value.code == "E0709" and "--again" in str(caught.value.help)


def test_a_blob_that_is_no_checkpoint(store: BlobStore) -> None:
    for data in (b"", b"\xa0", encode([1]), to_bytes(example())[:-1]):
        with pytest.raises(DataError) as caught:
            load(store, store.put(data))
        assert (caught.value.code, caught.value.exit_code) == ("E0708", 5)


def example() -> Checkpoint:
    tensors = (Tensor("w", Type("f32", (2,)), Digest(bytes(32))), Tensor("v", Type("u8"), Digest(bytes(32))))
    return Checkpoint(JOB, 3, root_of(tensors), tensors)


def with_tensors(*tensors: Tensor) -> Checkpoint:
    return replace(example(), tensors=tensors, state=root_of(tensors))


def test_a_list_that_contradicts_itself_is_refused() -> None:
    good = example()
    assert from_bytes(to_bytes(good)) == good
    first, second = good.tensors
    for bad, reason in [
        (replace(good, state=JOB), "does not follow"),
        (replace(good, tensors=good.tensors[::-1]), "does not follow"),
        (with_tensors(first, replace(second, name="w")), "twice"),
        (replace(good, step=-1), "step"),
    ]:
        with pytest.raises(ValueError, match=reason):
            from_bytes(to_bytes(bad))


def test_a_blob_of_another_size_than_its_tensor_is_refused(store: BlobStore) -> None:
    blob = store.put(b"123")
    name = store.put(to_bytes(with_tensors(Tensor("w", Type("f32", (2,)), blob))))
    with pytest.raises(DataError, match="has 3 bytes") as caught:
        load(store, name)
    assert caught.value.code == "E0709"


@pytest.mark.parametrize("error", [28, None])
def test_a_failure_at_any_operation_loses_no_earlier_checkpoint(tmp_path: Path, error: int | None) -> None:
    folder = tmp_path / "states"
    first = save(BlobStore(folder), JOB, 1, STATE)
    later = {key: array + 1 if array.dtype == np.float32 else array for key, array in STATE.items()}
    second = save(BlobStore(tmp_path / "elsewhere"), JOB, 2, later)
    kept = set(BlobStore(folder).names())

    def again(files: FaultyFiles) -> None:
        save(BlobStore(folder, (), files), JOB, 2, later)

    for raised in faults(again, error):
        assert isinstance(raised, StoreError if error else Killed)
        store = BlobStore(folder)
        assert is_whole(store, first)
        assert is_whole(store, second) or not store.has(second)
        assert error is None or drafts(folder) == []
        for name in set(store.names()) - kept:
            store.remove(name)
    assert is_whole(BlobStore(folder), second)
