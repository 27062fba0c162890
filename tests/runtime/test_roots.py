"""Roots of the state: computed while the next steps run, and the same as if the run had waited for them."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import current_thread, main_thread

import numpy as np
import pytest

from jobspec.ir.digest import Digest
from jobspec.ir.job import Job, Slot
from jobspec.ir.program import Program
from jobspec.ir.types import Type
from jobspec.runtime import roots
from jobspec.runtime.course import changed_by
from jobspec.runtime.events import Recorded, Saved, read_event
from jobspec.runtime.reporter import Silent
from jobspec.runtime.roots import Roots, digests_of
from jobspec.runtime.run import Run
from jobspec.store.checkpoint import array_digest, state_root
from jobspec.store.files import FileLayer
from jobspec.store.home import Home
from jobspec.store.runlog import read_log
from tests.runtime.jobs import constant, home_at, node, phased, regression_data, train
from tests.runtime.test_faults import ERRORS, fail_each
from tests.runtime.test_run import elsewhere, folder_of, receipt_of

Array = np.ndarray


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roots are computed on the thread, as for a device; of a small state too."""
    monkeypatch.setattr(roots, "SMALL", -1)
    monkeypatch.setattr(Run, "_worth_a_copy", property(lambda self: not self.saver.busy))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several portions run before a root is there."""

    def slowly(arrays: Mapping[str, Array]) -> dict[str, Digest]:
        time.sleep(0.02)
        return digests_of(arrays)

    monkeypatch.setattr(roots, "digests_of", slowly)


def dense(job: Job) -> Job:
    """A root after every step, a checkpoint after every second."""
    return replace(job, roots_every=1, save_every=2, keep=0)


@pytest.mark.parametrize("stop", [0, 3, 5, 6, 11])
@pytest.mark.usefixtures("beside", "slow")
def test_the_receipt_is_as_if_each_was_waited_for(line: Job, home: Home, tmp_path: Path, stop: int) -> None:
    other = elsewhere(line, tmp_path, "other")
    train(line, home, until=stop)
    train(line, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roots, "SMALL", 1 << 30)
        train(line, other)
    assert receipt_of(line, home) == receipt_of(line, other)


@pytest.mark.parametrize("job", ["line", "phased"])
@pytest.mark.usefixtures("beside", "slow", "every_checkpoint")
def test_the_log_has_the_records_before_the_checkpoints_that_follow_them(line: Job, home: Home, job: str) -> None:
    """Or a run that goes on from a checkpoint would lack them."""
    wanted = dense(line if job == "line" else phased(line.sources[0].root))
    train(wanted, home)
    recorded, saved = [], []
    for event in map(read_event, read_log(folder_of(wanted, home).log)):
        if isinstance(event, Recorded):
            recorded.append(event.record.step)
        elif isinstance(event, Saved):
            saved.append(event.chain.done)
            assert recorded[-1:] >= [event.chain.done]
    assert recorded == list(range(1, wanted.steps + 1)) and len(saved) >= wanted.steps // 2


@pytest.mark.usefixtures("beside")
def test_what_fails_on_the_thread_ends_the_run(
    line: Job, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def failing(arrays: Mapping[str, Array]) -> dict[str, Digest]:
        done.append(len(arrays))
        if len(done) == 4:
            raise MemoryError("no more")
        return digests_of(arrays)

    other = elsewhere(line, tmp_path, "other")
    job = dense(line)
    with monkeypatch.context() as patch:
        patch.setattr(roots, "digests_of", failing)
        with pytest.raises(MemoryError, match="no more"):
            train(job, home)
    train(job, home)
    train(job, other)
    assert receipt_of(job, home) == receipt_of(job, other)


@pytest.mark.parametrize("error", [errno.ENOSPC, None])
@pytest.mark.usefixtures("beside", "slow")
def test_whatever_fails_the_next_run_comes_to_the_receipt(
    line: Job, home: Home, tmp_path: Path, error: int | None
) -> None:
    phases = (replace(line.phases[0], steps=4),)
    short = replace(dense(line), phases=phases, keep=1, evaluations=())
    assert fail_each(short, home, tmp_path, error, range(3, 10_000, 29)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.usefixtures("beside")
def test_every_single_operation(line: Job, home: Home, tmp_path: Path, error: int | None) -> None:
    phases = (replace(line.phases[0], steps=4),)
    short = replace(dense(line), phases=phases, keep=1, evaluations=())
    assert fail_each(short, home, tmp_path, error, range(10_000)) > 70


class Watched(FileLayer):
    """Counts what the main thread waits for the disk to do."""

    def __init__(self) -> None:
        self.waits = 0

    def sync(self, fd: int) -> None:
        self.waits += current_thread() is main_thread()
        super().sync(fd)

    def sync_folder(self, path: Path) -> None:
        self.waits += current_thread() is main_thread()
        super().sync_folder(path)


class Waits(Silent):
    """How often it had waited, at each report."""

    def __init__(self, files: Watched) -> None:
        self.files = files
        self.seen: list[int] = []

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        self.seen.append(self.files.waits)


@pytest.mark.usefixtures("every_checkpoint")
def test_nothing_is_synced_on_the_thread_of_the_steps(line: Job, home: Home) -> None:
    """Neither checkpoints nor their entries in the log, nor the removal of older ones."""
    files = Watched()
    watched = Waits(files)
    train(replace(dense(line), keep=1), home_at(home.folder, files), reporter=watched)
    assert len(watched.seen) == 12 and set(watched.seen) == {watched.seen[0]}
    assert files.waits > watched.seen[0]


def with_fixed(job: Job) -> Job:
    """One parameter more, that no step changes; it is large."""
    frozen, phase = node("fixed", "f32", 3), job.phases[0]
    step = Program((frozen, *phase.step.inputs), (("fixed", frozen), *phase.step.outputs))
    init = Program(job.init.inputs, (("fixed", constant(1, 2, 3)), *job.init.outputs))
    slot = Slot("fixed", "parameter", Type("f32", (3,)), ("X",))
    return replace(job, state=(slot, *job.state), init=init, phases=(replace(phase, step=step),))


def test_what_a_step_changes(line: Job) -> None:
    step = with_fixed(line).phases[0].step
    assert changed_by(step) >= {"w", "b", "w/m"} and "fixed" not in changed_by(step)
    swapped = Program(step.inputs, (("fixed", node("w", "f32", 3)), ("w", node("fixed", "f32", 3))))
    assert changed_by(swapped) == {"fixed", "w"}


@pytest.mark.parametrize("small", [-1, 1 << 20])
def test_what_does_not_change_is_hashed_once(
    line: Job, home: Home, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    hashed: list[str] = []

    def counted(arrays: Mapping[str, Array]) -> dict[str, Digest]:
        hashed.extend(arrays)
        return digests_of(arrays)

    monkeypatch.setattr(roots, "SMALL", small)
    monkeypatch.setattr(Run, "_worth_a_copy", True)
    monkeypatch.setattr(roots, "digests_of", counted)
    job = dense(with_fixed(line))
    train(job, home)
    assert hashed.count("fixed") == 1 and hashed.count("w") == job.steps + 1
    train(job, home, again=True)
    assert hashed.count("fixed") == 2


class Memory:
    """A session of two tensors."""

    def __init__(self) -> None:
        self.held = {"w": np.ones(3, np.float32), "fixed": np.zeros(2, np.float32)}
        self.copies: list[str] = []

    def read(self, slot: str) -> Array:
        self.copies.append(slot)
        return self.held[slot].copy()

    def peek(self, slot: str) -> Array:
        return self.held[slot]


SLOTS = (
    Slot("w", "parameter", Type("f32", (3,)), ("X",)),
    Slot("fixed", "parameter", Type("f32", (2,)), ("X",)),
)


@pytest.mark.usefixtures("beside")
def test_a_root_is_of_the_state_when_it_was_asked_for() -> None:
    memory = Memory()
    before = state_root(memory.held)
    with Roots(memory, SLOTS, {"fixed"}) as asked:  # type: ignore[arg-type]
        found = asked.later(copy=True)
        memory.held["w"][0] = 7
        asked.changed(["w"])
        assert found.root() == before
        assert asked.now() == state_root(memory.held) != before
    assert memory.copies == ["w"]


@pytest.mark.usefixtures("beside")
def test_root_and_checkpoint_of_one_step_share_their_copies() -> None:
    memory = Memory()
    with Roots(memory, SLOTS, ()) as asked:  # type: ignore[arg-type]
        root = asked.later(copy=True).root()
        copied = asked.copied()
        assert copied.hashed.root() == root == state_root(copied.arrays)
        assert sorted(memory.copies) == ["fixed", "w"]
        asked.changed(["w"])
        assert asked.copied().arrays["w"] is not copied.arrays["w"]


@pytest.mark.usefixtures("beside")
def test_what_may_not_be_copied_is_hashed_where_it_lies() -> None:
    memory = Memory()
    with Roots(memory, SLOTS, ()) as asked:  # type: ignore[arg-type]
        found = asked.later(copy=False)
        assert found.ready and found.root() == state_root(memory.held)
    assert memory.copies == []


class Far(Memory):
    """A session whose state lies elsewhere: nothing of it may be copied, or looked at for its digest alone."""

    def digest(self, slot: str) -> Digest:
        return array_digest(self.held[slot])

    def read(self, slot: str) -> Array:
        raise AssertionError(slot)


def test_a_state_that_lies_elsewhere_is_not_copied() -> None:
    far = Far()
    with Roots(far, SLOTS, ()) as asked:  # type: ignore[arg-type]
        assert asked.later(copy=True).root() == asked.now() == state_root(far.held)
        copied = asked.copied()
    assert copied.arrays["w"] is far.held["w"] and copied.hashed.root() == state_root(far.held)


def test_in_phases_each_has_its_own_changes(home: Home) -> None:
    """A tensor that one phase leaves alone and the next one changes."""
    job = phased(str(regression_data(home)))
    warm = job.phases[0].step
    names = dict(warm.outputs)
    inputs = {n["name"]: n for n in warm.inputs}
    outputs = tuple((name, inputs["b"] if name == "b" else names[name]) for name in names)
    still = replace(job.phases[0], step=Program(warm.inputs, outputs))
    job = replace(job, phases=(still, *job.phases[1:]), roots_every=1)
    assert "b" not in changed_by(job.phases[0].step) and "b" in changed_by(job.phases[1].step)
    other = home_at(home.folder.with_name("other"))
    regression_data(other)
    train(job, home)
    for stop in range(0, job.steps, 3):
        train(job, other, until=stop)
    train(job, other)
    assert receipt_of(job, home) == receipt_of(job, other)
