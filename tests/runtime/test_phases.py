"""Phases: steps of several kinds in one run, taken up anywhere, on every backend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.job import decode_job, differing_parts, encode_job, job_hash
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.ir.job import Job
from jobspec.runtime.journal import read_history
from jobspec.runtime.outcome import Result
from jobspec.runtime.run import Order, run
from jobspec.store.home import Home
from jobspec.verify.replaying import Means
from jobspec.verify.verify import verify
from tests.runtime.jobs import compiled, examples_at, home_at, phased, regression_data, sets_of, train

STEPS = 16


@pytest.fixture
def job(home: Home) -> Job:
    return phased(str(regression_data(home)))


def native(job: Job, home: Home) -> Result:
    return run(compiled(job, "llvm"), lambda: sets_of(job, home), home, Order(2))


def test_equal_steps_share_a_routine(job: Job) -> None:
    assert job.steps == STEPS and job.borders == (7, 11, 16)
    assert job.step_names == ("step.warm", "step.main", "step.warm")
    names = ["init", "step.warm", "step.main", "held"]
    assert [routine.name for routine in compiled(job).plan.routines] == names
    plan = compiled(job, "llvm").plan
    assert [routine.name for routine in plan.routines] == names
    places = {tuple(r.buffers[place].offset for _, place in r.slots) for r in plan.routines}
    assert len(places) == 1


def test_a_run_follows_the_phases(job: Job, home: Home) -> None:
    """Step by step against the programs and the positions that each phase gives them."""
    data, state, step = sets_of(job, home)["train"], evaluate(job.init, {}), 0
    losses = []
    for phase in job.phases:
        for turn in range(phase.steps):
            first = phase.batches.first + turn * phase.batches.size
            chosen = examples_at(phase.batches.stream, data.records, first, phase.batches.size)
            given = {f"batch.{field}": data.take(field, chosen) for field in ("x", "y")}
            found = evaluate(phase.step, {**state, **given, "step": np.array(step, np.int32)})
            state = {slot.name: found[slot.name] for slot in job.state}
            losses.append(found["report.loss"])
            step += 1
    result = train(job, home)
    history = read_history(result.folder)
    assert history.reports()["loss"][1].tolist() == losses
    assert [record.step for record in history.records] == [5, 7, 10, 11, 15, 16]
    assert result.weights is not None and (result.steps, step) == (STEPS, STEPS)


@pytest.mark.parametrize("stop", [1, 6, 7, 8, 10, 11, 12, 15])
def test_a_run_taken_up_in_any_phase_gives_the_same_receipt(job: Job, home: Home, tmp_path: Path, stop: int) -> None:
    whole = train(job, home).receipt
    other = home_at(tmp_path / "other")
    regression_data(other)
    assert train(job, other, until=stop).steps == stop
    again = train(job, other).receipt
    assert whole is not None and again is not None and whole.read_bytes() == again.read_bytes()


def test_backends_agree(job: Job, home: Home, tmp_path: Path) -> None:
    mine, other = train(job, home), home_at(tmp_path / "other")
    regression_data(other)
    theirs = native(job, other)
    assert mine.receipt is not None and theirs.receipt is not None
    assert mine.receipt.read_bytes() == theirs.receipt.read_bytes()


def test_a_receipt_verifies(job: Job, home: Home) -> None:
    receipt = train(job, home).receipt
    assert receipt is not None and decode_receipt(receipt.read_bytes()).steps == STEPS
    assert verify(receipt, Means(home, "reference", 1)).accepted


def test_jobs_with_phases_read_back(job: Job) -> None:
    assert decode_job(encode_job(job)) == job
    names = tuple(replace(phase, name=f"p{i}") for i, phase in enumerate(job.phases))
    assert job_hash(replace(job, phases=names)) == job_hash(job)
    shifted = (*job.phases[:2], replace(job.phases[2], steps=6))
    assert differing_parts(job, replace(job, phases=shifted)) == ["steps"]
    first = replace(job.phases[1], batches=replace(job.phases[1].batches, first=0))
    assert differing_parts(job, replace(job, phases=(job.phases[0], first, job.phases[2]))) == ["stream"]
