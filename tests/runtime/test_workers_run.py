"""Whole runs on workers: log, checkpoints and receipt are those of a run by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.runtime.journal import read_history
from jobspec.runtime.outcome import Result
from jobspec.runtime.run import Order, run
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.hands import Patience
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.trouble import Tainted
from jobspec.runtime.workers.worker import Worker
from jobspec.store.home import Home
from tests.runtime.crews import SETUP, StandIns
from tests.runtime.jobs import compiled, home_at, phased, regression, regression_data, sets_of, train

PATIENCE = Patience(least=10, first=40, times=5, empty=500)


class Drawn(random.Random):
    """A chance that says which answers are drawn."""

    def __init__(self, drawn: Sequence[bool]) -> None:
        super().__init__()
        self._drawn: Iterator[bool] = iter(drawn)

    def random(self) -> float:
        return 0.0 if next(self._drawn, False) else 1.0


def on_stand_ins(job: Job, home: Home, crew: StandIns, drawn: Sequence[bool] = (), again: bool = False) -> Result:
    """The job's run with a crew of stand-ins; of the answers to steps and evaluations those are checked that `drawn`
    says, in their order."""
    one = compiled(job)
    scheduler = Scheduler(crew, Worker(SETUP, crew.fetch).said, 0.5, PATIENCE, chance=Drawn(drawn))
    session = WorkersSession(job, one.plan, scheduler, Cutting(job, 1).routine)
    many = replace(one, backend=replace(one.backend, open=lambda *_: session))
    return run(many, lambda: sets_of(job, home), home, Order(1, None, again))


@pytest.mark.parametrize("make", [regression, phased])
def test_one_receipt(tmp_path: Path, make) -> None:
    one, other = home_at(tmp_path / "one"), home_at(tmp_path / "other")
    job = make(str(regression_data(one)))
    regression_data(other)
    alone = train(job, one)
    many = on_stand_ins(job, other, StandIns({"w0": ["ok", "die", "ok", "hang"], "w1": ["late"], "w2": ["leave"]}))
    assert alone.receipt and many.receipt and alone.receipt.read_bytes() == many.receipt.read_bytes()
    mine, theirs = read_history(alone.folder), read_history(many.folder)
    assert [r.value() for r in mine.records] == [r.value() for r in theirs.records]
    assert mine.evaluated == theirs.evaluated
    assert {n: x.tobytes() for n, (_, x) in mine.reports().items()} == {
        n: x.tobytes() for n, (_, x) in theirs.reports().items()
    }


def test_a_lie_that_is_found_late(tmp_path: Path) -> None:
    """A worker lies at a step that is not drawn, and again at one that is: what it has had a part in is not gone on
    from, and without it the run comes to the receipt."""
    home = home_at(tmp_path)
    job = regression(str(regression_data(home)))
    alone = train(job, home)
    assert alone.receipt
    right = alone.receipt.read_bytes()
    honest_then_lies = ["ok"] * 5 + ["lie"] * 9
    crew = StandIns({"w0": honest_then_lies, "w1": ["hang"]})
    with pytest.raises(Tainted) as raised:
        on_stand_ins(job, home, crew, [False] * 9 + [True] * 9, again=True)
    assert raised.value.code == "E0523" and "w0" in raised.value.reason
    history = read_history(alone.folder)
    assert all(saved.chain.done <= raised.value.since for saved in history.saved)
    assert crew.dismissed == ["w1", "w0"]
    found = on_stand_ins(job, home, StandIns({"w2": ()}))
    assert found.receipt and found.receipt.read_bytes() == right
