"""The run log: whole up to its first bad record, whatever happened to the file."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.ir.canonical import Value, encode
from jobspec.ir.digest import digest
from jobspec.store.files import FileLayer, StoreError
from jobspec.store.runlog import MAGIC, START, entries, open_log, read_log
from tests.store.faults import FaultyFiles, Killed, faults
from tests.store.power import PowerFiles

VALUES: list[Value] = [{"step": 0}, [1, "two", b"three"], None, {"step": 1, "loss": 0x3F800000}]


def write(path: Path, values: list[Value], files: FileLayer | None = None) -> None:
    with open_log(path, files) as log:
        for value in values:
            log.append(value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "runs" / "log", VALUES)
    return tmp_path / "runs" / "log"


def test_records_come_back_in_order_over_several_openings(path: Path) -> None:
    write(path, [{"again": True}])
    assert read_log(path) == [*VALUES, {"again": True}]


def test_a_record_carries_its_hash_and_the_one_before(path: Path) -> None:
    before, at, data = START, len(MAGIC), path.read_bytes()
    for value in VALUES:
        payload = encode([before.raw, value])
        before = digest("runlog", payload)
        frame = len(payload).to_bytes(4, "little") + payload + before.raw
        assert data[at : at + len(frame)] == frame
        at += len(frame)
    assert at == len(data)
    with open_log(path) as log:
        assert (log.last, log.cut) == (before, 0)


def test_a_log_cut_at_any_byte_keeps_its_whole_records_and_goes_on(path: Path) -> None:
    data = path.read_bytes()
    ends = [len(MAGIC), *(entry.end for entry in entries(data))]
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        whole = max((n for n, end in enumerate(ends) if end <= size), default=0)
        with open_log(path) as log:
            assert log.cut == (size - ends[whole] if size >= len(MAGIC) else size)
            log.append({"after": size})
        assert read_log(path) == [*VALUES[:whole], {"after": size}]


def test_a_flipped_bit_anywhere_cuts_the_log_at_its_record(path: Path) -> None:
    data = path.read_bytes()
    ends = [entry.end for entry in entries(data)]
    for at in range(len(MAGIC), len(data)):
        for bit in (0, 3, 7):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            whole = sum(end <= at for end in ends)
            assert read_log(path) == VALUES[:whole]
            with open_log(path) as log:
                assert log.cut > 0
            assert path.read_bytes() == data[: ([len(MAGIC), *ends])[whole]]


def test_zeros_after_the_end_are_cut(path: Path) -> None:
    """A file system may leave zeros where a power cut hit."""
    path.write_bytes(path.read_bytes() + bytes(5000))
    with open_log(path) as log:
        assert log.cut == 5000
    assert read_log(path) == VALUES


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 0, 1, 2), (0, 2, 3), (1, 2, 3), (0, 1, 3)])
def test_records_out_of_their_chain_are_not_believed(path: Path, order: tuple[int, ...]) -> None:
    data = path.read_bytes()
    ends = [len(MAGIC), *(entry.end for entry in entries(data))]
    frames = [data[start:end] for start, end in pairwise(ends)]
    path.write_bytes(MAGIC + b"".join(frames[n] for n in order))
    whole = next(n for n, frame in enumerate(order) if n != frame)
    assert read_log(path) == VALUES[:whole]


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_any_bytes_after_the_first_line_are_no_records(rest: bytes) -> None:
    assert list(entries(MAGIC + rest)) == []


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"dear diary, jobspec")
    for use in (open_log, read_log):
        with pytest.raises(StoreError) as caught:
            use(path)
        assert caught.value.code == "E0707"
    assert path.read_bytes() == b"dear diary, jobspec"


def test_one_writer_at_a_time(path: Path) -> None:
    with open_log(path) as log:
        with pytest.raises(StoreError) as caught:
            open_log(path)
        assert caught.value.code == "E0706"
        assert read_log(path) == VALUES
        log.append(1)
    write(path, [2])
    assert read_log(path) == [*VALUES, 1, 2]


def test_a_log_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        read_log(tmp_path / "absent")
    assert caught.value.code == "E0703"


def test_a_record_too_large_or_without_canonical_form_is_refused_before_writing(path: Path) -> None:
    with open_log(path) as log:
        with pytest.raises(ValueError, match="at most"):
            log.append(bytes(1 << 20))
        with pytest.raises(ValueError, match="canonical"):
            log.append(0.5)  # type: ignore[arg-type]
        log.append([0] * 200_000)
    assert read_log(path) == [*VALUES, [0] * 200_000]


def test_syncing_is_the_callers_choice(tmp_path: Path) -> None:
    files = FaultyFiles()
    with open_log(tmp_path / "log", files) as log:
        del files.done[:]
        log.append(1)
        assert files.done == ["write"]
        log.append(2, sync=True)
        assert files.done == ["write", "write", "sync"]
    assert files.done[3:] == ["sync", "close"]


@pytest.mark.parametrize("error", [28, None])
def test_a_failure_at_any_operation_loses_nothing_that_was_appended(path: Path, error: int | None) -> None:
    good = path.with_name("good")
    shutil.copy(path, good)
    returned: list[Value] = []

    def extend(files: FaultyFiles) -> None:
        shutil.copy(good, path)
        del returned[:]
        log = open_log(path, files)
        try:
            for value in ("five", "six"):
                log.append(value, sync=True)
                returned.append(value)
        finally:
            log.close()

    for raised in faults(extend, error):
        assert isinstance(raised, StoreError if error else Killed)
        found = read_log(path)
        assert found[: 4 + len(returned)] == [*VALUES, *returned]
        assert found[4:] in ([], ["five"], ["five", "six"])


def test_a_full_disk_leaves_the_log_at_its_last_record(path: Path) -> None:
    """Half a record is taken back at once, so that the same log can go on when there is room again."""
    files = FaultyFiles()
    size = path.stat().st_size
    with open_log(path, files) as log:
        files.at = len(files.done)
        with pytest.raises(StoreError) as caught:
            log.append("lost")
        assert caught.value.code == "E0701"
        assert path.stat().st_size == size
        log.append("kept")
    assert read_log(path) == [*VALUES, "kept"]


def test_a_new_log_survives_a_kill_at_any_operation(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log"
    for raised in faults(lambda files: write(path, [1], files), None):
        assert isinstance(raised, Killed)
        write(path, [2])
        assert read_log(path) in ([2], [1, 2])
        shutil.rmtree(path.parent)


def test_power_lost_at_any_operation_of_a_new_log_leaves_one_that_goes_on(tmp_path: Path) -> None:
    """Its first line is on the disk before records are written behind it: without it they are no log."""
    for at in range(100):
        files = PowerFiles(tmp_path / str(at), at)
        files.root.mkdir()
        with suppress(Killed):
            write(files.root / "log", [1, 2], files)
        for seed in range(8):
            files.after_crash(tmp_path / f"{at}-{seed}", seed)
            path = tmp_path / f"{at}-{seed}" / "log"
            write(path, [3])
            assert read_log(path) in ([3], [1, 3], [1, 2, 3])
        if not files.dead:
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("size", range(len(MAGIC) + 1))
@pytest.mark.parametrize("kept", [0, 5, 100])
def test_a_first_line_that_a_power_cut_left_without_its_bytes(tmp_path: Path, size: int, kept: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(MAGIC[:kept][:size].ljust(size, b"\0"))
    assert read_log(path) == []
    with open_log(path) as log:
        log.append(1)
    assert read_log(path) == [1]
