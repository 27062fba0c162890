"""Power that goes at any operation of the disk: the next run comes to the receipt, nothing torn is taken for whole."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.runtime.journal import read_history
from jobspec.store.blobs import BlobStore
from jobspec.store.checkpoint import load
from jobspec.store.home import Home
from tests.runtime.jobs import home_at, regression, regression_data, train
from tests.runtime.test_run import folder_of, receipt_of
from tests.store.faults import Killed
from tests.store.power import PowerFiles


@pytest.fixture
def short(home: Home) -> Job:
    job = regression(str(regression_data(home)), steps=6)
    return replace(job, save_every=2, roots_every=2, keep=1, evaluations=())


def lose_power(job: Job, wanted: bytes, folder: Path, at: int, seeds: range) -> bool:
    """Lose it before operation `at` and go on, on every disk that may be left; whether the run came so far."""
    work = folder / f"at{at}"
    regression_data(home_at(work))
    files = PowerFiles(work, at)
    with suppress(Killed):
        train(job, home_at(work, files))
    for seed in seeds:
        left = folder / f"at{at}-{seed}"
        files.after_crash(left, seed)
        regression_data(home_at(left))
        check(job, wanted, home_at(left))
    return files.dead


def check(job: Job, wanted: bytes, home: Home) -> None:
    """The newest checkpoint that the log names is whole (that an older one was dropped may be forgotten); what the
    receipt's file holds is the receipt; the run gets there."""
    folder = folder_of(job, home)
    if folder.receipt.is_file():
        assert folder.receipt.read_bytes() == wanted
    if folder.log.is_file():
        saved = sorted(read_history(folder).saved, key=lambda s: s.chain.done)
        for newest in saved[-1:]:
            load(folder.states, newest.name)
    whole_or_refused(folder.states)
    train(job, home)
    assert receipt_of(job, home) == wanted


def whole_or_refused(states: BlobStore) -> None:
    """A torn blob is never handed out."""
    for name in states.names():
        try:
            data = states.get(name)
        except DataError:
            continue
        assert states.own_path(name).read_bytes() == data


def lost_everywhere(job: Job, home: Home, folder: Path, places: range, seeds: range) -> int:
    """Lose power at each of `places` until a run makes fewer operations; how often it was lost."""
    train(job, home)
    wanted = receipt_of(job, home)
    for count, at in enumerate(places):
        if not lose_power(job, wanted, folder, at, seeds):
            return count
    raise AssertionError("the run never ended")


def test_power_is_lost(short: Job, home: Home, tmp_path: Path) -> None:
    assert lost_everywhere(short, home, tmp_path, range(0, 10_000, 11), range(2)) > 8


@pytest.mark.slow
def test_power_is_lost_at_every_operation(short: Job, home: Home, tmp_path: Path) -> None:
    assert lost_everywhere(short, home, tmp_path, range(10_000), range(6)) > 90


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps(
    short: Job, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Backwards or forwards by thirty years, at every look at it."""
    train(short, home)
    wanted, real, looks = receipt_of(short, home), time.time, [0]

    def jumping() -> float:
        looks[0] += 1
        return real() + jump * (looks[0] % 2)

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(time, "time_ns", lambda: int(jumping() * 1e9))
    other = home_at(tmp_path / "other")
    regression_data(other)
    train(short, other, until=3)
    train(short, other)
    assert receipt_of(short, other) == wanted and looks[0] > 0


def test_the_disk_forgets_what_was_not_synced(tmp_path: Path) -> None:
    """Of a file written without sync both the old and the new bytes are seen, and mixtures of their sectors."""
    files = PowerFiles(tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    path = tmp_path / "disk" / "file"
    fd = files.create(path)
    files.write(fd, b"a" * 2048)
    files.sync(fd)
    files.sync_folder(path.parent)
    files.seek(fd, 0)
    files.write(fd, b"b" * 2048)
    seen = set()
    for seed in range(200):
        files.after_crash(tmp_path / str(seed), seed)
        seen.add((tmp_path / str(seed) / "file").read_bytes())
    files.close(fd)
    assert {b"a" * 2048, b"b" * 2048} < seen and len(seen) > 6


def test_a_name_without_its_folder_s_sync_may_be_gone(tmp_path: Path) -> None:
    files = PowerFiles(tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    fd = files.create(tmp_path / "disk" / "file")
    files.sync(fd)
    files.close(fd)
    seen = set()
    for seed in range(40):
        files.after_crash(tmp_path / str(seed), seed)
        seen.add((tmp_path / str(seed) / "file").is_file())
    assert seen == {True, False}
