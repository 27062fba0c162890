"""A job on a mesh, its tasks on workers that also fail: the state is that of one process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.session import Session
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job, Phase, routine_name
from jobspec.ir.mesh import Mesh
from jobspec.passes.layout import feed_buffers
from jobspec.runtime.engine import compile_for
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.hands import Patience
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.worker import Worker
from tests.passes.meshes import DEEP, batch_of, job
from tests.runtime.crews import SETUP, StandIns
from tests.runtime.jobs import home_at, regression, regression_data, train
from tests.runtime.test_workers_run import on_stand_ins

STEPS = 2
MESH = "mesh = [tp=2, pp=2]; shard H over tp; shard L over pp"
#: the second phase runs on another mesh than the first
PHASES = "  phase a { steps = 2 }\n  phase b { steps = 2; B = 6 }\n  update"
TWO = DEEP.replace("steps = 3; ", "").replace("  update", PHASES)
OTHER = (
    "on = [a]; mesh = [tp=2]; shard H over tp }\n"
    "run more { on = [b]; mesh = [tp=4, dp=2]; shard H Y over tp; shard B over dp"
)


def rows(phase: Phase) -> np.ndarray:
    """The same batch at each step."""
    buffers, width = feed_buffers(phase.batches)
    found = np.zeros((STEPS, width), np.uint8)
    arrays = batch_of(phase)
    for buffer in buffers:
        flat = np.ascontiguousarray(arrays[buffer.name]).reshape(-1).view(np.uint8)
        found[:, buffer.offset : buffer.offset + buffer.type.nbytes] = flat
    return found


def trained(session: Session, one: Job) -> dict[str, bytes]:
    session.run("init", 0, np.zeros((1, 0), np.uint8))
    found: dict[str, bytes] = {}
    for i, phase in enumerate(one.phases):
        outcome = session.run(routine_name(phase), i * STEPS, rows(phase))
        assert outcome.done == STEPS and not outcome.flags
        found[f"reports {i}"] = outcome.reports.tobytes()
    return found | {slot.name: session.read(slot.name).tobytes() for slot in one.state}


def on_workers(one: Job, faults: dict[str, Sequence[str]], shared: bool = False) -> dict[str, bytes]:
    crew = StandIns(faults)
    referee, patience = Worker(SETUP, crew.fetch), Patience(least=10, first=40, times=5, empty=500)
    scheduler = Scheduler(crew, referee.said, 0.1, patience, lambda _: None, random.Random(1))
    plan = compile_for(one, "reference").plan
    return trained(WorkersSession(one, plan, scheduler, Cutting(one, len(faults), shared).routine), one)


def alone(one: Job) -> dict[str, bytes]:
    return trained(compile_for(one, "reference").open(1, Path("/nonexistent")), one)


@pytest.mark.parametrize("workers", [1, 3, 4])
def test_positions_on_workers(workers: int) -> None:
    one = job(DEEP, MESH, "train.shards=2")
    assert on_workers(one, {f"w{i}": () for i in range(workers)}) == alone(one)


@pytest.mark.parametrize("fault", ["die", "hang", "late", "change"])
def test_a_worker_that_fails(fault: str) -> None:
    one = job(DEEP, MESH, "train.shards=2")
    assert on_workers(one, {"w0": ["ok"] * 5 + [fault], "w1": ["ok"] * 11 + [fault], "w2": ()}) == alone(one)


@pytest.mark.parametrize("shards", [1, 4])
def test_shared_updates(shards: int) -> None:
    """Examples go to both positions, with pieces and without; what is whole else lies in slices on both."""
    one = job(DEEP, "mesh = [dp=2]; shard B over dp", f"train.shards={shards}")
    Cutting(one, 2).check()
    assert on_workers(one, {"w0": ["ok"] * 7 + ["die"], "w1": ()}, shared=True) == alone(one)


def test_phases_on_meshes_of_their_own() -> None:
    """The state goes from one mesh's blocks to the other's."""
    one = job(TWO, OTHER, "train.shards=2")
    assert [one.mesh(phase.name).count for phase in one.phases] == [2, 8]
    assert on_workers(one, {"w0": (), "w1": ()}) == alone(one)


def test_one_receipt(tmp_path: Path) -> None:
    """A whole run, its evaluations and checkpoints, with a mesh in the job and none."""
    one, other = home_at(tmp_path / "one"), home_at(tmp_path / "other")
    plain = regression(str(regression_data(one)))
    regression_data(other)
    cut = replace(plain, runs=(Mesh((("tp", 3),), (("X", "tp"),)),))
    alone = train(plain, one)
    many = on_stand_ins(cut, other, StandIns({"w0": ["ok"] * 9 + ["die"], "w1": (), "w2": ["ok"] * 5 + ["hang"]}))
    assert alone.receipt and many.receipt and alone.receipt.read_bytes() == many.receipt.read_bytes()


def test_a_mesh_that_does_not_fit_is_told_before_anything_starts() -> None:
    one = job(DEEP, "mesh = [tp=3]; shard H over tp", "train.shards=2")
    with pytest.raises(UsageError) as raised:
        Cutting(one, 2).check()
    assert raised.value.code == "E0868"
