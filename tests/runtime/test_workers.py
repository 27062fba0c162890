"""The engine on workers that fail as planted: whatever happens, the state is that of one process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.passes.layout import feed_buffers
from jobspec.runtime.engine import compile_for
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.hands import Patience
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.worker import Worker
from tests.lang.test_shards import PLAIN, batch, made
from tests.runtime.crews import SETUP, StandIns

STEPS = 3
PATIENCE = Patience(least=10, first=40, times=5, empty=500)
Bits = dict[str, bytes]
#: faults that a run survives where one worker is steady, however many there are
SURVIVED = ("ok", "die", "leave", "hang", "late", "change")


@cache
def job(shards: str = "4") -> Job:
    return made(PLAIN, shards)


def rows(job: Job) -> np.ndarray:
    """The same batch at each step."""
    buffers, width = feed_buffers(job.phases[0].batches)
    found = np.zeros((STEPS, width), np.uint8)
    for buffer in buffers:
        flat = np.ascontiguousarray(batch()[buffer.name]).reshape(-1).view(np.uint8)
        found[:, buffer.offset : buffer.offset + buffer.type.nbytes] = flat
    return found


class Trial:
    """A session of a job on stand-ins."""

    def __init__(self, crew: StandIns, recheck: float = 0.0, blocks: int = 4, shared: bool = False) -> None:
        self.crew, self.job, self.told = crew, job(), list[str]()
        plan = compile_for(self.job, "reference").plan
        referee = Worker(SETUP, crew.fetch)
        self.scheduler = Scheduler(crew, referee.said, recheck, PATIENCE, self.told.append, random.Random(1))
        self.session = WorkersSession(self.job, plan, self.scheduler, Cutting(self.job, blocks, shared).routine)

    def trained(self, portion: int = STEPS) -> Bits:
        """The steps in portions of so many."""
        self.session.run("init", 0, np.zeros((1, 0), np.uint8))
        reports = b""
        for first in range(0, STEPS, portion):
            outcome = self.session.run("step", first, rows(self.job)[first : first + portion])
            assert outcome.done == min(portion, STEPS - first) and not outcome.flags
            reports += outcome.reports.tobytes()
        return {**{slot.name: self.session.read(slot.name).tobytes() for slot in self.job.state}, "reports": reports}


@cache
def wanted() -> Bits:
    """By one process."""
    session = compile_for(job(), "reference").open(1, Path("/nonexistent"))
    session.run("init", 0, np.zeros((1, 0), np.uint8))
    reports = session.run("step", 0, rows(job())).reports
    return {**{slot.name: session.read(slot.name).tobytes() for slot in job().state}, "reports": reports.tobytes()}


def faultless(workers: int) -> dict[str, Sequence[str]]:
    return {f"w{i}": () for i in range(workers)}


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_one_state(workers: int, blocks: int) -> None:
    assert Trial(StandIns(faultless(workers)), 0.3, blocks).trained() == wanted()


@pytest.mark.parametrize("fault", ["die", "leave", "hang", "late", "change", "refuse"])
@pytest.mark.parametrize("when", [0, 1, 4, 9])
def test_a_fault(fault: str, when: int) -> None:
    trial = Trial(StandIns({"w0": ["ok"] * when + [fault], "w1": (), "w2": ()}))
    assert trial.trained(portion=1 + when % 3) == wanted()
    assert trial.scheduler.tally.redone or fault in ("change", "leave", "refuse")


@pytest.mark.parametrize("fault", ["die", "leave", "hang"])
def test_updates_are_shared_out(fault: str) -> None:
    """Each worker has its part of the optimizer's state, and one of them goes with it."""
    crew = StandIns({"w0": (), "w1": ["ok"] * 12 + [fault], "w2": ()})
    trial = Trial(crew, recheck=0.1, blocks=3, shared=True)
    assert trial.trained(portion=1) == wanted()
    assert trial.scheduler.tally.redone or fault == "leave"


def test_mixed_backends() -> None:
    """Every answer is computed a second time by another worker: that of the other backend, or the head."""
    trial = Trial(StandIns(faultless(2), backends={"w1": "llvm"}), recheck=1.0)
    assert trial.trained() == wanted()
    assert trial.scheduler.tally.checked == trial.scheduler.tally.done > 20


def test_joining() -> None:
    crew = StandIns({"w0": (), "w1": ()}, [(3.0, "w1")])
    assert Trial(crew).trained() == wanted()
    assert crew.doing["w1"].mine


def test_leaving_for_good() -> None:
    crew = StandIns({"w0": ["ok", "die"]})
    trial = Trial(crew)
    trial.scheduler.hands.patience = Patience(empty=50)
    with pytest.raises(JobspecError) as raised:
        trial.trained()
    assert raised.value.code == "E0521"


def test_nobody_can() -> None:
    with pytest.raises(JobspecError) as raised:
        Trial(StandIns({"w0": ["refuse"], "w1": ["refuse"]})).trained()
    assert raised.value.code == "E0522" and "planted" in raised.value.reason


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_liar_is_named_and_left_out(workers: int) -> None:
    """Every answer is computed a second time, so it is found at its first lie."""
    faults = {**faultless(workers), "w0": ["ok"] * 3 + ["lie"] * 99}
    trial = Trial(StandIns(faults), recheck=1.0)
    if workers == 1:
        with pytest.raises(JobspecError):
            trial.trained()
    else:
        assert trial.trained() == wanted()
    assert trial.crew.dismissed == ["w0"]
    assert any("w0 left" in text and "wrongly" in text for text in trial.told)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SURVIVED), max_size=14), min_size=2, max_size=4), st.sampled_from([0.0, 0.2]))
def test_any_faults(faults: list[list[str]], recheck: float) -> None:
    named = {f"w{i}": mine for i, mine in enumerate(faults)} | {"steady": []}
    for portion in (1, STEPS):
        assert Trial(StandIns(named), recheck).trained(portion) == wanted()


def test_what_was_computed_in_earlier_calls_is_lost() -> None:
    """The only worker goes with all of the state after the second call: init and both steps are computed again."""
    crew = StandIns({"w0": (), "w1": ()}, [(50.0, "w1")])
    trial = Trial(crew, blocks=1)
    trial.session.run("init", 0, np.zeros((1, 0), np.uint8))
    for first in range(2):
        trial.session.run("step", first, rows(trial.job)[first : first + 1])
    done = trial.scheduler.tally.done
    crew.values.clear()
    trial.session.run("step", 2, rows(trial.job)[2:])
    assert trial.scheduler.tally.done >= 2 * done
    assert {slot.name: trial.session.read(slot.name).tobytes() for slot in trial.job.state}.items() <= wanted().items()
