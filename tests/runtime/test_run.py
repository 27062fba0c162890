"""Runs: one receipt per job, whatever happens on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.ir.errors import DataError, JobspecError, MismatchError
from jobspec.ir.job import Job
from jobspec.ir.program import make
from jobspec.runtime.course import raised
from jobspec.runtime.events import Begun
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.reporter import Silent
from jobspec.runtime.safetensors import from_bytes
from jobspec.runtime.saver import Saver
from jobspec.store.checkpoint import state_root
from jobspec.store.home import Home
from jobspec.store.runlog import open_log
from tests.runtime.jobs import (
    SIZE,
    compiled,
    counting,
    evaluation,
    examples_at,
    home_at,
    node,
    regression,
    regression_data,
    sets_of,
    token_data,
    train,
)


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.notes: list[str] = []
        self.steps: list[int] = []
        self.metrics: list[tuple[str, int, float]] = []

    def begin(self, job: Job, step: int) -> None:
        self.begun.append(step)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, step: int, reports: Mapping[str, np.float32]) -> None:
        assert set(reports) == {"loss", "lr"}
        self.steps.append(step)

    def evaluated(self, name: str, step: int, metrics: Mapping[str, np.float32]) -> None:
        self.metrics.append((name, step, float(metrics["error"])))


def folder_of(job: Job, home: Home) -> RunFolder:
    return run_folder(home, compiled(job).job_hash)


def receipt_of(job: Job, home: Home) -> bytes:
    return folder_of(job, home).receipt.read_bytes()


def elsewhere(job: Job, tmp_path: Path, name: str) -> Home:
    """Another store with the same data."""
    home = home_at(tmp_path / name)
    assert str(regression_data(home)) == job.sources[0].root
    return home


def plainly(job: Job, home: Home, steps: int) -> dict[str, np.ndarray]:
    """The state after `steps` steps by a loop of evaluations, without the runtime."""
    data = sets_of(job, home)["train"]
    state = evaluate(job.init, {})
    for step in range(steps):
        chosen = examples_at(job.phases[0].batches.stream, data.records, step * SIZE, SIZE)
        batch = {"batch.x": data.take("x", chosen), "batch.y": data.take("y", chosen), "step": np.int32(step)}
        found = evaluate(job.phases[0].step, {**state, **batch})
        state = {slot.name: found[slot.name] for slot in job.state}
    return state


def test_the_result_is_what_the_programs_say(line: Job, home: Home) -> None:
    result = train(line, home)
    state = plainly(line, home, 12)
    assert result.state == state_root(state)
    assert result.weights is not None
    tensors, about = from_bytes(result.weights.read_bytes())
    assert list(tensors) == ["w", "b"]
    assert all((tensors[name] == state[name]).all() for name in tensors)
    assert about["state"] == str(result.state) and about["job"] == str(result.job)


def test_the_receipt(line: Job, home: Home) -> None:
    result = train(line, home)
    receipt = decode_receipt(receipt_of(line, home))
    assert len(receipt_of(line, home)) <= 1024
    assert (receipt.job, receipt.end, receipt.steps, receipt.closed) == (result.job, result.state, 12, True)
    assert receipt.start == state_root(plainly(line, home, 0))
    assert [str(root) for root in receipt.data] == [line.sources[0].root]


def test_history_and_metrics(line: Job, home: Home) -> None:
    notes = Notes()
    result = train(line, home, reporter=notes)
    history = read_history(folder_of(line, home))
    assert [r.step for r in history.records] == [5, 10, 12]
    assert [(n, s) for n, s, _ in notes.metrics] == [("held", 4), ("held", 8), ("held", 12)]
    assert result.metrics == {"held": {"error": np.float32(notes.metrics[-1][2])}}
    assert {name: len(values) for name, (_, values) in history.reports().items()} == {"loss": 12, "lr": 12}
    assert history.reports()["lr"][1][3] == np.float32(0.05) / np.float32(4)
    assert notes.steps == sorted(notes.steps) and notes.steps[-1] == 12


@pytest.mark.parametrize("stop", range(13))
def test_stopped_at_any_step_gives_the_same_receipt(line: Job, home: Home, tmp_path: Path, stop: int) -> None:
    train(line, home)
    other = elsewhere(line, tmp_path, "other")
    notes = Notes()
    first = train(line, other, until=stop)
    assert first.steps == stop and (first.receipt is None) == (stop < 12)
    assert first.state == state_root(plainly(line, other, stop))
    second = train(line, other, threads=2, reporter=notes)
    assert second.known == (stop == 12)
    assert notes.begun == ([] if stop == 12 else [stop])
    assert receipt_of(line, other) == receipt_of(line, home)
    assert second.metrics == train(line, home).metrics


def test_stopped_at_every_step_in_turn(line: Job, home: Home, tmp_path: Path) -> None:
    train(line, home)
    other = elsewhere(line, tmp_path, "other")
    for stop in range(13):
        train(line, other, until=stop)
    assert receipt_of(line, other) == receipt_of(line, home)
    mine, theirs = read_history(folder_of(line, home)), read_history(folder_of(line, other))
    for name, (steps, values) in mine.reports().items():
        assert (steps == np.arange(12)).all() and (values == theirs.reports()[name][1]).all()
    assert mine.records == theirs.records and mine.evaluated == theirs.evaluated


def test_cadences_of_checkpoints_and_evaluations_change_no_receipt(line: Job, home: Home, tmp_path: Path) -> None:
    train(line, home)
    changed = replace(line, save_every=0, keep=0, evaluations=(), name="other", title="another")
    other = elsewhere(line, tmp_path, "other")
    train(changed, other)
    assert receipt_of(changed, other) == receipt_of(line, home)


def test_a_known_result_is_shown_and_not_computed(line: Job, home: Home) -> None:
    first = train(line, home)
    notes = Notes()
    again = train(line, home, reporter=notes)
    assert again.known and not first.known and notes.begun == []
    assert replace(again, known=False) == first


def test_again_computes_afresh_and_compares(line: Job, home: Home) -> None:
    first = train(line, home)
    notes = Notes()
    again = train(line, home, again=True, reporter=notes)
    assert notes.begun == [0] and not again.known
    assert again == first


def test_another_receipt_for_the_same_job_is_an_error(line: Job, home: Home) -> None:
    train(line, home)
    path = folder_of(line, home).receipt
    data = bytearray(path.read_bytes())
    place = data.index(b"\x63end") + 6
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(MismatchError) as caught:
        train(line, home, again=True)
    assert caught.value.code == "E0507" and caught.value.exit_code == 4
    assert path.read_bytes() == bytes(data)


def test_missing_files_of_a_known_result_are_made_again(line: Job, home: Home) -> None:
    train(line, home)
    folder = folder_of(line, home)
    receipt, weights = folder.receipt.read_bytes(), folder.weights.read_bytes()
    folder.receipt.unlink()
    folder.weights.unlink()
    assert train(line, home).known
    assert (folder.receipt.read_bytes(), folder.weights.read_bytes()) == (receipt, weights)


def test_lost_weights_and_checkpoints_are_said(line: Job, home: Home) -> None:
    train(line, home)
    folder = folder_of(line, home)
    folder.weights.unlink()
    for blob in (folder.path / "states").iterdir():
        blob.unlink()
    with pytest.raises(DataError) as caught:
        train(line, home)
    assert caught.value.code == "E0508" and "--again" in str(caught.value.help)


def test_a_log_of_another_version_or_job_is_said(line: Job, home: Home) -> None:
    train(line, home)
    log = folder_of(line, home).log
    whole = log.read_bytes()
    with open_log(log) as later:
        later.append({"kind": "dreamt"}, sync=True)
    with pytest.raises(JobspecError, match=str(log)) as caught:
        train(line, home)
    assert caught.value.code == "E0505" and "use the version that wrote it" in str(caught.value.help)
    other = replace(line, seed=8)
    train(other, home)
    folder_of(other, home).log.write_bytes(whole)
    with pytest.raises(DataError, match="does not end with a receipt of this job") as refused:
        train(other, home)
    assert refused.value.code == "E0506" and "remove the run's folder" in str(refused.value.help)


def test_a_job_runs_once_at_a_time(line: Job, home: Home) -> None:
    with open_journal(folder_of(line, home)) as journal:
        journal.add(Begun(0, "reference", 1, compiled(line).plan_hash, 4711, 0))
        with pytest.raises(JobspecError, match="process 4711") as caught:
            train(line, home)
    assert caught.value.code == "E0504"
    assert train(line, home).steps == 12


def test_nan_is_an_error_that_names_tensor_and_step(home: Home) -> None:
    job = regression(str(regression_data(home)), steps=400, rate=60.0)
    with pytest.raises(JobspecError, match=r"`w`.* became non-finite at step \d+") as caught:
        train(job, home)
    assert caught.value.code == "E0502" and caught.value.exit_code == 1
    step = int(caught.value.reason.split()[-1])
    assert all(np.isfinite(x).all() for x in plainly(job, home, step).values())
    assert not all(np.isfinite(x).all() for x in plainly(job, home, step + 1).values())
    with pytest.raises(JobspecError, match=f"at step {step}\n"):
        train(job, home)
    assert train(job, home, until=step).steps == step


def test_an_index_outside_its_axis_names_input_and_step(home: Home) -> None:
    job = counting(str(token_data(home)), size=5)
    with pytest.raises(JobspecError, match=r"outside 0 … 4.*at step \d") as caught:
        train(job, home)
    assert caught.value.code == "E0503"


@pytest.mark.parametrize(
    ("lines", "said"), [((7,), " (line 7)"), ((9, 7, 9), " (lines 7, 9)"), ((), "")], ids=["one", "two", "none"]
)
def test_an_index_outside_its_axis_names_the_lines_that_pick(lines: tuple[int, ...], said: str) -> None:
    """Of all picks those from an axis of that size."""
    picks = [make("gather", node(f"x{i}", "f32", 5), node("at", "i32"), batch=0) for i in range(len(lines))]
    other = make("gather", node("x", "f32", 6), node("at", "i32"), batch=0)
    places = {other: (3, 1), **{pick: (line, 1) for pick, line in zip(picks, lines, strict=True)}}
    error = raised(replace(counting("b3:" + "ab" * 32), places=places), ["index outside 0 … 4"], "at step 3")
    assert error.reason == f"index outside 0 … 4{said}, at step 3"


def test_tokens_train(home: Home) -> None:
    job = counting(str(token_data(home)))
    assert train(job, home).steps == 6
    stopped = counting(str(token_data(home)), steps=5)
    assert train(stopped, home, until=3).steps == 3
    assert train(stopped, home).receipt is not None


@pytest.mark.usefixtures("every_checkpoint")
def test_a_damaged_checkpoint_gives_way_to_an_older_one(line: Job, home: Home, tmp_path: Path) -> None:
    train(line, home)
    other = elsewhere(line, tmp_path, "other")
    job = replace(line, keep=0)
    train(job, other, until=7)
    folder = folder_of(job, other)
    newest = max(read_history(folder).saved, key=lambda s: s.chain.done)
    path = folder.states.own_path(newest.name)
    path.write_bytes(path.read_bytes()[:-1])
    notes = Notes()
    train(job, other, reporter=notes)
    assert notes.begun == [6]
    assert "step 7" in notes.notes[0] and "damaged" in notes.notes[0]
    assert receipt_of(job, other) == receipt_of(line, home)


@pytest.mark.usefixtures("every_checkpoint")
def test_all_checkpoints_damaged_begins_afresh(line: Job, home: Home) -> None:
    train(line, home, until=8)
    for path in (folder_of(line, home).path / "states").iterdir():
        path.write_bytes(b"")
    notes = Notes()
    assert train(line, home, reporter=notes).steps == 12
    assert notes.begun == [0] and len(notes.notes) == 2


@pytest.mark.usefixtures("every_checkpoint")
def test_only_so_many_checkpoints_stay(line: Job, home: Home) -> None:
    train(line, home)
    folder = folder_of(line, home)
    assert [s.chain.done for s in read_history(folder).saved] == [9, 12]
    assert len(list(folder.states.names())) == 8


@pytest.mark.usefixtures("every_checkpoint")
def test_best_is_kept(line: Job, home: Home) -> None:
    job = replace(line, evaluations=(evaluation(1, best=("max", "error")),), keep=1)
    notes = Notes()
    train(job, home, reporter=notes)
    best = max(range(12), key=lambda i: notes.metrics[i][2])
    kept = {s.chain.done: s.best for s in read_history(folder_of(job, home)).saved}
    assert kept == {best + 1: "held", 12: None} and best < 9


def test_a_torn_log_is_cut_and_said(line: Job, home: Home, tmp_path: Path) -> None:
    train(line, home)
    other = elsewhere(line, tmp_path, "other")
    train(line, other, until=8)
    log = folder_of(line, other).log
    log.write_bytes(log.read_bytes() + b"\x40\x00\x00\x00torn")
    notes = Notes()
    train(line, other, reporter=notes)
    assert "torn" in notes.notes[0] and notes.begun == [8]
    assert receipt_of(line, other) == receipt_of(line, home)


@pytest.mark.parametrize("cut", range(0, 1000, 83))
def test_a_log_cut_anywhere_still_leads_to_the_receipt(line: Job, home: Home, tmp_path: Path, cut: int) -> None:
    train(line, home)
    other = elsewhere(line, tmp_path, "other")
    train(line, other, until=10)
    log = folder_of(line, other).log
    log.write_bytes(log.read_bytes()[: -cut - 1])
    train(line, other)
    assert receipt_of(line, other) == receipt_of(line, home)


def test_facts_lie_beside_and_name_the_plan(line: Job, home: Home) -> None:
    result = train(line, home)
    facts = json.loads(folder_of(line, home).facts.read_text())
    assert facts["plan"] == str(result.plan) and facts["backend"] == "reference"
    assert facts["data"] == [str(home.folder / "data")]


def test_a_checkpoint_is_left_out_while_the_disk_is_busy(
    line: Job, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saver, "busy", True)
    train(replace(line, keep=9), home)
    assert [s.chain.done for s in read_history(folder_of(line, home)).saved] == [12]
    all_kept = replace(line, keep=0)
    train(all_kept, home, again=True)
    assert [s.chain.done for s in read_history(folder_of(all_kept, home)).saved] == [3, 6, 9, 12]
