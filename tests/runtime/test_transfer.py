"""Data and runs between stores: only what is missing travels, all is hashed, nothing here is overwritten."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.codec.job import job_hash
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import DataError, JobspecError
from jobspec.ir.job import Job
from jobspec.runtime import keeping
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.transfer import pull_run, pull_set, push_run, push_set, remote_runs, remote_sets
from jobspec.store import checkpoint
from jobspec.store.datasets import open_set
from jobspec.store.home import Home
from jobspec.store.remote import Remote
from jobspec.store.runlog import MAGIC
from jobspec.verify.replaying import Means
from jobspec.verify.verify import verify
from tests.runtime.jobs import home_at, regression, regression_data, train


@pytest.fixture
def line(home: Home) -> Job:
    return replace(regression(str(regression_data(home))), keep=0)


@pytest.fixture
def done(line: Job, home: Home) -> RunFolder:
    return train(line, home).folder


@pytest.fixture(params=["path", "memory"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    return Remote(str(tmp_path / "there") if request.param == "path" else f"memory://{tmp_path.name}")


def root_of(job: Job) -> Digest:
    return Digest.parse(job.sources[0].root)


def test_there_and_back(line: Job, done: RunFolder, home: Home, remote: Remote, tmp_path: Path) -> None:
    job, root = job_hash(line), root_of(line)
    first, again = push_set(home, remote, root), push_set(home, remote, root)
    assert first.sent > 1 and (again.sent, again.kept) == (0, first.sent)
    sent = push_run(home, remote, job)
    assert push_run(home, remote, job).sent == 3 < sent.sent
    assert remote_sets(remote) == [root] and remote_runs(remote) == [job]
    other = home_at(tmp_path / "other")
    assert pull_set(other, remote, root).sent == first.sent and pull_set(other, remote, root).sent == 0
    pull_run(other, remote, job)
    copied = run_folder(other, job)
    assert copied.receipt.read_bytes() == done.receipt.read_bytes()
    assert verify(copied.receipt, Means(other, "reference", 1)).accepted
    assert not list(keeping.problems(other))


def test_a_run_goes_on_elsewhere(line: Job, home: Home, remote: Remote, tmp_path: Path) -> None:
    train(line, home, until=7)
    push_set(home, remote, root_of(line))
    push_run(home, remote, job_hash(line))
    other = home_at(tmp_path / "other")
    pull_set(other, remote, root_of(line))
    pull_run(other, remote, job_hash(line))
    there = train(line, other)
    assert there.receipt is not None and there.steps == 12
    assert there.receipt.read_bytes() == train(line, home).folder.receipt.read_bytes()


def test_known_weights_are_made_again(line: Job, done: RunFolder, home: Home, remote: Remote, tmp_path: Path) -> None:
    push_run(home, remote, job_hash(line))
    other = home_at(tmp_path / "other")
    pull_run(other, remote, job_hash(line))
    known = train(line, other)
    assert known.known and known.weights is not None
    assert known.weights.read_bytes() == done.weights.read_bytes()


def test_a_run_that_is_here_stays(line: Job, done: RunFolder, home: Home, remote: Remote) -> None:
    push_run(home, remote, job_hash(line))
    with pytest.raises(DataError) as caught:
        pull_run(home, remote, job_hash(line))
    assert caught.value.code == "E0715"


def test_what_is_nowhere(line: Job, home: Home, remote: Remote) -> None:
    for ask in (push_run, pull_run):
        with pytest.raises(DataError) as caught:
            ask(home, remote, job_hash(line))
        assert caught.value.code == "E0714"


@pytest.mark.parametrize("name", ["job.cbor", "receipt.cbor"])
def test_another_job_s_files_are_refused(line: Job, done: RunFolder, home: Home, tmp_path: Path, name: str) -> None:
    remote = Remote(str(tmp_path / "there"))
    push_run(home, remote, job_hash(line))
    other_job = replace(line, seed=9)
    other = train(other_job, home).folder
    path = tmp_path / "there" / "runs" / job_hash(line).hex / name
    for data, words in (((other.path / name).read_bytes(), "another job"), (b"x", "damaged")):
        path.write_bytes(data)
        target = home_at(tmp_path / f"t{len(data)}")
        with pytest.raises(DataError, match=words) as caught:
            pull_run(target, remote, job_hash(line))
        assert caught.value.code == "E0716" and "jobspec store push" in str(caught.value.help)
        assert not run_folder(target, job_hash(line)).log.is_file()


def test_only_what_the_log_names_arrives(line: Job, done: RunFolder, home: Home, tmp_path: Path) -> None:
    remote, below = Remote(str(tmp_path / "there")), tmp_path / "there" / "runs" / job_hash(line).hex
    push_run(home, remote, job_hash(line))
    (below / "states" / blob_digest(b"more").hex).write_bytes(b"more")
    tensor = checkpoint.read(done.states, read_history(done).saved[0].name).tensors[0]
    os.truncate(below / "states" / tensor.blob.hex, 1 << 36)
    with pytest.raises(JobspecError, match="that one has"):
        pull_run(home_at(tmp_path / "refused"), remote, job_hash(line))
    (below / "states" / tensor.blob.hex).write_bytes(done.states.get(tensor.blob))
    target = home_at(tmp_path / "target")
    pull_run(target, remote, job_hash(line))
    assert set(run_folder(target, job_hash(line)).states.names()) == set(done.states.names())


@pytest.mark.parametrize("data", [b"no log", MAGIC + b"\x03\x00\x00\x00abc"])
def test_a_log_that_is_none(line: Job, done: RunFolder, home: Home, tmp_path: Path, data: bytes) -> None:
    remote = Remote(str(tmp_path / "there"))
    push_run(home, remote, job_hash(line))
    (tmp_path / "there" / "runs" / job_hash(line).hex / "log").write_bytes(data)
    target = home_at(tmp_path / "target")
    if data.startswith(MAGIC):  # cut at its first entry: nothing was saved yet
        assert pull_run(target, remote, job_hash(line)).sent == 3
        return
    with pytest.raises(DataError, match="not a run log"):
        pull_run(target, remote, job_hash(line))
    assert not run_folder(target, job_hash(line)).log.is_file()


def test_a_changed_checkpoint_does_not_arrive(line: Job, done: RunFolder, home: Home, tmp_path: Path) -> None:
    remote = Remote(str(tmp_path / "there"))
    push_run(home, remote, job_hash(line))
    blob = next((tmp_path / "there" / "runs" / job_hash(line).hex / "states").iterdir())
    blob.write_bytes(b"changed")
    target = home_at(tmp_path / "target")
    with pytest.raises(JobspecError, match=blob.name):
        pull_run(target, remote, job_hash(line))
    assert not run_folder(target, job_hash(line)).log.is_file()


# ---- what lies here


def test_runs_are_listed(line: Job, done: RunFolder, home: Home) -> None:
    longer = replace(line, seed=8)
    train(longer, home, until=5)
    found = {kept.job: kept for kept in keeping.runs(home)}
    assert (found[job_hash(line)].closed, found[job_hash(line)].steps) == (True, 12)
    assert (found[job_hash(longer)].closed, found[job_hash(longer)].steps) == (False, 5)
    run_folder(home, job_hash(longer)).job.write_bytes(b"?")
    assert {kept.name for kept in keeping.runs(home)} == {"line", "?"}


def test_a_changed_byte_anywhere_is_a_problem(line: Job, done: RunFolder, home: Home) -> None:
    assert not list(keeping.problems(home))
    blobs = [*done.states.folder.iterdir(), *(p for p in (home.folder / "data").iterdir() if not p.suffix)]
    for path in blobs:
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert any(path.name in str(problem) for problem in keeping.problems(home)), path
        path.unlink()
        assert list(keeping.problems(home)), path
        path.write_bytes(data)
    assert not list(keeping.problems(home))


def old(path: Path) -> Path:
    """Last changed some hours ago."""
    long_ago = time.time() - 3 * keeping.OLD
    os.utime(path, (long_ago, long_ago))
    return path


def test_only_what_nothing_needs_goes(line: Job, done: RunFolder, home: Home) -> None:
    for path in keeping.files_in(home.folder):
        old(path)
    before = set(keeping.files_in(home.folder))
    assert not list(keeping.waste(home))
    loose = old(done.states.own_path(done.states.put(b"of no checkpoint")))
    torn = done.path / ".0123.part"
    torn.write_bytes(b"half")
    fresh = done.path / ".4567.part"
    fresh.write_bytes(b"of a process at work")
    old(torn)
    cached = home.folder / "cache" / "kernel.o"
    cached.parent.mkdir()
    cached.write_bytes(b"code")
    assert {w.path for w in keeping.waste(home)} == {loose, torn, cached}
    assert {w.path for w in keeping.clear(home)} == {loose, torn, cached}
    assert set(keeping.files_in(home.folder)) == before | {fresh}
    assert train(line, home).known and not list(keeping.problems(home))


def test_a_run_under_way_is_left_alone(line: Job, done: RunFolder, home: Home) -> None:
    old(done.states.own_path(done.states.put(b"not yet named")))
    with open_journal(done):
        assert not list(keeping.waste(home))
    assert len(list(keeping.waste(home))) == 1


def test_data_stays(line: Job, done: RunFolder, home: Home) -> None:
    old(home.data().own_path(home.data().put(b"weights that a job may start from")))
    assert not keeping.clear(home) and open_set(home.data(), root_of(line)).records == 10
