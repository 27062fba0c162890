"""The file layer: whole or absent, whatever fails."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from jobspec.store.files import FileLayer, StoreError, make_folders, sweep, write_all, write_file
from tests.store.faults import FaultyFiles, Killed, drafts, faults


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_file(FileLayer(), path, [b"one", memoryview(b" two"), b""])
    assert path.read_bytes() == b"one two"
    assert drafts(tmp_path) == []


def test_names_are_sorted_however_the_system_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda folder: ["b", "a", "c"])
    assert FileLayer().names(tmp_path) == ["a", "b", "c"]


def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_return(tmp_path: Path) -> None:
    files = FaultyFiles()
    write_file(files, tmp_path / "file", [b"x"])
    assert files.done == ["create", "write", "sync", "close", "rename", "sync_folder"]


def test_new_folders_are_made_durable_too(tmp_path: Path) -> None:
    files = FaultyFiles()
    make_folders(files, tmp_path / "a" / "b")
    assert files.done == ["make_folder", "sync_folder"] * 2


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "E0701"),
        (errno.EDQUOT, "E0701"),
        (errno.EACCES, "E0702"),
        (errno.EROFS, "E0702"),
        (errno.EIO, "E0703"),
    ],
)
def test_a_failure_anywhere_leaves_the_old_file_or_the_new(tmp_path: Path, number: int, code: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for raised in faults(lambda files: write_file(files, path, [b"new"] * 3), number):
        assert isinstance(raised, StoreError)
        assert (raised.code, raised.exit_code) == (code, 1)
        assert str(tmp_path) in raised.reason
        assert path.read_bytes() in (b"old", b"new" * 3)
        assert drafts(tmp_path) == []


def test_a_kill_anywhere_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for raised in faults(lambda files: write_file(files, path, [b"new"] * 3), None):
        assert isinstance(raised, Killed)
        assert path.read_bytes() in (b"old", b"new" * 3)


def test_folders_made_when_the_disk_is_full(tmp_path: Path) -> None:
    for raised in faults(lambda files: make_folders(files, tmp_path / "x" / "y")):
        assert isinstance(raised, StoreError)
    assert (tmp_path / "x" / "y").is_dir()


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        write_file(FileLayer(), tmp_path / "home" / "file", [b"x"])
    assert caught.value.code == "E0703"


def test_the_system_may_take_less_than_it_is_given(tmp_path: Path) -> None:
    class Slow(FileLayer):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            return super().write(fd, data[:3])

    write_file(Slow(), tmp_path / "file", [bytes(range(100))])
    assert (tmp_path / "file").read_bytes() == bytes(range(100))


def test_nothing_to_write_is_no_write(tmp_path: Path) -> None:
    files = FaultyFiles()
    write_all(files, -1, b"")
    write_all(files, -1, memoryview(b""))
    assert files.done == []


def test_sweep_takes_old_drafts_only(tmp_path: Path) -> None:
    old, fresh, other = tmp_path / ".1.part", tmp_path / ".2.part", tmp_path / "3.part"
    for path in (old, fresh, other):
        path.write_bytes(b"")
    hour_ago = time.time() - 7200
    os.utime(old, (hour_ago, hour_ago))
    os.utime(other, (hour_ago, hour_ago))
    assert sweep(FileLayer(), tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".2.part", "3.part"]
    assert sweep(FileLayer(), tmp_path / "absent") == 0
