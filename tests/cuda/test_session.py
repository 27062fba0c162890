"""Whole training on the stand-in: the compiled PTX of a plan, started by the session as it would ask a GPU's driver.

The state root after initialisation and after the last step, and every report of every step, are those of the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.workloads import Workload, of_spec
from jobspec.backends.cuda.session import CudaSession, open_session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.kept import Kept
from jobspec.ir.errors import JobspecError
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cuda.machine.machine import Bytes
from tests.cuda.stand_in import StandIn
from tests.spec_jobs import SMALL, on_made_up
from tests.specs.test_same_bits import Trained, by_reference, trained
from tests.specs.tiny import entries

pytestmark = pytest.mark.cuda


@contextmanager
def session_of(plan: Plan, driver: StandIn) -> Iterator[CudaSession]:
    session = open_session(plan, driver, None)
    yield session
    session.close()
    assert driver.closed


def on_stand_in(work: Workload, steps: int, **how: bool) -> Trained:
    """`how`: see StandIn."""
    plan = compile_job(work.job, target_of(90), checked=True)
    with session_of(plan, StandIn(masks=(mask(plan),), **how)) as session:
        return trained(session, work, plan, steps)


def mask(plan: Plan) -> Bytes:
    """The bytes of the arena that belong to a buffer: those between are nobody's."""
    found = np.zeros(max(r.arena for r in plan.routines), np.uint8)
    for routine in plan.routines:
        for buffer in routine.buffers:
            if buffer.space == "arena":
                found[buffer.offset : buffer.offset + buffer.type.nbytes] = 1
    return found


@pytest.fixture(scope="module")
def digits(home: Home) -> tuple[Workload, Trained]:
    work = on_made_up("digits", home, SMALL["digits"])
    return work, by_reference(work, 7)


@pytest.mark.parametrize("late", [False, True])
def test_digits(digits: tuple[Workload, Trained], late: bool) -> None:
    """Watched; whatever is left to the driver is done as soon, and as late, as it may be."""
    work, expected = digits
    assert on_stand_in(work, 7, late=late, backwards=late) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("mnist_cnn", 3), ("char_gpt", 3), ("digits", 20)])
def test_specs_made_small(home: Home, name: str, steps: int) -> None:
    work = on_made_up(name, home, SMALL[name])
    assert on_stand_in(work, steps) == on_stand_in(work, steps, late=True, backwards=True) == by_reference(work, steps)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "ssm", "gpt2_124m", "llama3_8b", "vae", "mixtral_8x7b", "adafactor"])
def test_tiny_specs(name: str, home: Home) -> None:
    """Watched, threads backwards: recurrence, attention, draws, chosen maps, norms over all parameters."""
    work = of_spec(name, entries()[name].spec(home.folder), home)
    assert on_stand_in(work, 2, late=True, backwards=True) == by_reference(work, 2)


def test_one_graph_per_step(digits: tuple[Workload, Trained]) -> None:
    """A step is one start; the next batch is on its way before the step is waited for."""
    work, _ = digits
    plan = compile_job(work.job, target_of(90))
    driver = StandIn(watched=False, late=True)
    with session_of(plan, driver) as session:
        session.run("init", 0, np.zeros((1, 0), np.uint8))
        driver.said.clear()
        session.run("step", 0, work.rows(plan, 0, 3))
        assert driver.said == ["upload", *["start", "upload", "finish"] * 2, "start", "finish"]


def test_memory_is_planned_ahead(digits: tuple[Workload, Trained]) -> None:
    """Nothing is allocated after the session has opened; too little is known before anything runs."""
    work, _ = digits
    plan = compile_job(work.job, target_of(90))
    driver = StandIn(watched=False)
    with session_of(plan, driver) as session:
        blocks = list(driver.blocks)
        session.run("init", 0, np.zeros((1, 0), np.uint8))
        session.run("step", 0, work.rows(plan, 0, 2))
        assert list(driver.blocks) == blocks
    small = StandIn(memory=1000)
    with pytest.raises(JobspecError) as caught:
        open_session(plan, small, None)
    assert caught.value.code == "E0511" and not small.blocks


def test_a_flag_stops_the_run(home: Home) -> None:
    """After the step that raised it; the state is of that step, and a further run begins with flags down."""
    work = on_made_up("digits", home, {**SMALL["digits"], "train.lr": "1e38"})
    plan = compile_job(work.job, target_of(90))
    with session_of(plan, StandIn(watched=False)) as session:
        session.run("init", 0, np.zeros((1, 0), np.uint8))
        rows = work.rows(plan, 0, 6)
        outcome = session.run("step", 0, rows)
        assert outcome.flags and outcome.done < 6 and len(outcome.reports) == outcome.done


def test_state_goes_in_and_out(digits: tuple[Workload, Trained]) -> None:
    work, _ = digits
    plan = compile_job(work.job, target_of(90))
    with session_of(plan, StandIn(watched=False)) as session:
        for name, _ in plan.routines[0].slots:
            value = session.read(name)
            value.reshape(-1).view(np.uint8)[:] = np.arange(value.nbytes) % 251
            session.write(name, value)
            assert session.read(name).tobytes() == session.peek(name).tobytes() == value.tobytes()
        assert all(
            session.read(a).tobytes()[:4] == session.read(b).tobytes()[:4]
            for (a, _), (b, _) in pairwise(plan.routines[0].slots)
        )


def test_another_level_is_refused(digits: tuple[Workload, Trained]) -> None:
    """A plan names the level it was made for."""
    work, _ = digits
    plan = compile_job(work.job, target_of(80))
    with pytest.raises(JobspecError) as caught:
        open_session(plan, StandIn(level=90), None)
    assert caught.value.code == "E0510"
    assert "sm_80" in caught.value.reason and "sm_90" in caught.value.reason
    assert "compile the job on this machine" in str(caught.value.help)


def test_compiled_code_is_kept(
    digits: tuple[Workload, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And used only whole: a file that was changed is compiled again."""
    work, _ = digits
    plan = compile_job(work.job, target_of(90))

    def init() -> list[str]:
        with session_of(plan, StandIn(watched=False)) as session:
            session._builder = type(session._builder)(90, Kept(tmp_path), False)
            session.run("init", 0, np.zeros((1, 0), np.uint8))
        return sorted(p.name for p in tmp_path.iterdir())

    (name,) = init()
    monkeypatch.setattr("jobspec.backends.cuda.build.compile_text", None)
    assert init() == [name]
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(TypeError):
        init()
