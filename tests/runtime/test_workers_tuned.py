"""Schedules of a job's plan on workers: the kernels of tasks that are the plan's own are executed as it says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.session import Session
from jobspec.ir.contract import PROFILE
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.layout import feed_buffers
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.engine import Compiled, compile_for
from jobspec.runtime.tuning import Carried, carried, key_of
from jobspec.runtime.workers import worker
from jobspec.runtime.workers.cutting import Cutting
from jobspec.runtime.workers.hands import Patience
from jobspec.runtime.workers.scheduler import Scheduler
from jobspec.runtime.workers.session import WorkersSession
from jobspec.runtime.workers.worker import Setup, Worker
from tests.cli.test_tune import NET
from tests.lang.test_shards import ROOT
from tests.runtime.crews import StandIns
from tests.runtime.test_workers import faultless

PATIENCE = Patience(least=10, first=40, times=5, empty=500)


@pytest.fixture(scope="module")
def net() -> Job:
    """In four pieces of a batch."""
    return load(Source("net.job", NET.format(root=ROOT).replace("seed = 3", "seed = 3; shards = 4")))


def unlikely(plan: Plan) -> Plan:
    """For every contraction the schedule that the scheduler likes least."""
    routines = []
    for routine in plan.routines:
        pairs = zip(routine.kernels, routine.schedules, strict=True)
        last = [possible_schedules(k, plan.target)[-1] if k.kind == "contract" else s for k, s in pairs]
        routines.append(replace(routine, schedules=tuple(last)))
    return replace(plan, routines=tuple(routines))


def test_what_a_plan_says_of_its_own(net: Job) -> None:
    plan = compile_for(net, "llvm").plan
    assert carried(plan) == Carried()
    other = unlikely(plan)
    known = carried(other)
    assert known.target == plan.target and len(known.schedules) >= 3
    step = other.routine("step")
    chosen = dict(zip(step.kernels, step.schedules, strict=True))
    contraction = next(k for k in step.kernels if k.kind == "contract")
    assert known(contraction, plan.target) == chosen[contraction]
    assert known(contraction, replace(plan.target, cpu="another")) is None


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Compiled]]:
    """What workers compile."""
    found: list[Compiled] = []

    def kept(*arguments: object) -> Compiled:
        found.append(compile_for(*arguments))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(worker, "compile_for", kept)
    yield found


def trained(session: Session, one: Job) -> dict[str, bytes]:
    session.run("init", 0, np.zeros((1, 0), np.uint8))
    [buffer], width = feed_buffers(one.phases[0].batches)
    x = np.random.default_rng(1).normal(size=buffer.type.shape).astype("<f4")
    feeds = np.zeros((2, width), np.uint8)
    feeds[:, buffer.offset : buffer.offset + x.nbytes] = x.reshape(-1).view(np.uint8)
    reports = session.run("step", 0, feeds).reports.tobytes()
    return {"reports": reports, **{slot.name: session.read(slot.name).tobytes() for slot in one.state}}


def test_tasks_are_executed_as_the_plan_says(net: Job, opened: list[Compiled], tmp_path: Path) -> None:
    compiled = compile_for(net, "llvm")
    known = carried(unlikely(compiled.plan))
    setup = Setup("llvm", 1, PROFILE, tmp_path, known)
    crew = StandIns(faultless(2), setup=setup)
    scheduler = Scheduler(crew, Worker(setup, crew.fetch).said, 0, PATIENCE, chance=random.Random(1))
    session = WorkersSession(net, compiled.plan, scheduler, Cutting(net, 2).routine)
    assert trained(session, net) == trained(compiled.open(1, tmp_path), net)
    taken = {
        key_of(kernel, task.plan.target)
        for task in opened
        for routine in task.plan.routines
        for kernel, schedule in zip(routine.kernels, routine.schedules, strict=True)
        if known(kernel, task.plan.target) == schedule
    }
    contractions = [k for k in compiled.plan.routine("step").kernels if k.kind == "contract"]
    assert taken == {key_of(kernel, compiled.plan.target) for kernel in contractions}
