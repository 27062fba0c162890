"""Runs on a disk that fails, or a process that dies, at every single operation of the disk."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.runtime.journal import read_history
from jobspec.store.home import Home
from tests.runtime.jobs import home_at, phased, regression_data, train
from tests.runtime.test_run import folder_of, receipt_of
from tests.store.faults import FaultyFiles, Killed


@pytest.fixture
def short(line: Job) -> Job:
    phases = (replace(line.phases[0], steps=4),)
    return replace(line, phases=phases, save_every=2, roots_every=2, keep=1, evaluations=())


ERRORS = [errno.ENOSPC, errno.EIO, None]


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_fails_the_next_run_comes_to_the_receipt(
    short: Job, home: Home, tmp_path: Path, error: int | None
) -> None:
    assert fail_each(short, home, tmp_path, error, range(0, 10_000, 7)) > 10


def test_so_it_is_across_phases(home: Home, tmp_path: Path) -> None:
    """A checkpoint at each border, and one within each phase."""
    job = phased(str(regression_data(home)))
    job = replace(job, save_every=3, keep=1, also=("warm", "main"), evaluations=())
    assert fail_each(job, home, tmp_path, None, range(0, 10_000, 29)) > 5


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
def test_every_single_operation(short: Job, home: Home, tmp_path: Path, error: int | None) -> None:
    assert fail_each(short, home, tmp_path, error, range(10_000)) > 70


def fail_each(job: Job, home: Home, tmp_path: Path, error: int | None, places: range) -> int:
    """Fail at each of `places` until a run makes fewer operations; how many failed."""
    train(job, home)
    wanted = receipt_of(job, home)
    for count, at in enumerate(places):
        files = FaultyFiles(at, error)
        folder = tmp_path / str(at)
        regression_data(home_at(folder))
        raised = raised_by(job, home_at(folder, files))
        assert isinstance(raised, JobspecError | Killed | None)
        train(job, home_at(folder))
        assert receipt_of(job, home_at(folder)) == wanted
        if at >= len(files.done):
            assert raised is None
            return count
    raise AssertionError("the run never ended")


def raised_by(job: Job, home: Home) -> BaseException | None:
    try:
        train(job, home)
    except (Exception, Killed) as error:
        return error
    return None


@pytest.mark.usefixtures("every_checkpoint")
def test_a_kill_loses_nothing_before_the_last_checkpoint(short: Job, home: Home, tmp_path: Path) -> None:
    """After any kill the log names a checkpoint that is whole, of the last cadence that was reached."""
    seen = set()
    for at in range(20, 1000, 6):
        after = home_at(tmp_path / str(at))
        regression_data(after)
        if raised_by(short, home_at(after.folder, FaultyFiles(at, None))) is None:
            break
        history = read_history(folder_of(short, after))
        saved, reached = [0, *(s.chain.done for s in history.saved)], history.reports()["loss"][0]
        stopped = train(short, after, until=0)
        seen.add(stopped.steps)
        assert stopped.steps == saved[-1]
        assert len(reached) - stopped.steps <= 2 * short.save_every  # one checkpoint may be under way
    assert seen == {0, 2, 4}
