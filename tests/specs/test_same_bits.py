"""Whole training steps of the reference specs: native code leaves exactly the state that the reference leaves.

The reference evaluates the programs as they are; native code runs fused kernels from a plan. State roots and every
report of every step are compared, on one thread and two, for processors with AVX-512, with AVX2 and with neither (fused
multiply-add in software), at every code generation level. The quick tests run the specs made small (nothing is left
out of them), and one step of each in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from bench.workloads import Workload, begun, state_of
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host, runs_here, target_of
from jobspec.backends.reference.session import ReferenceSession
from jobspec.backends.session import Session
from jobspec.ir.digest import Digest
from jobspec.ir.plan import Plan
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.engine import lowered
from jobspec.store.checkpoint import state_root
from jobspec.store.home import Home
from tests.spec_jobs import NAMES, SMALL, on_made_up

pytestmark = pytest.mark.usefixtures("every_step_is_shared_out")
TARGETS = {"host": host(), "x86-64-v3": target_of("x86-64-v3"), "x86-64": target_of("x86-64")}
LEVELS, THREADS = (0, 1, 2, 3), (1, 2)
STEPS = {"digits": 20, "mnist_cnn": 3, "char_gpt": 3}
#: what the quick test runs; the slow one runs all combinations
QUICK = [("host", 2, 1), ("host", 2, 2), ("host", 0, 2), ("x86-64-v3", 2, 2), ("x86-64-v3", 3, 1), ("x86-64", 1, 2)]


@dataclass(frozen=True)
class Trained:
    """What some steps came to."""

    first: Digest
    last: Digest
    reports: bytes


def trained(session: Session, work: Workload, plan: Plan, steps: int) -> Trained:
    """Initialise, run `steps` steps in two portions."""
    first, rows = state_root(begun(session, work.job)), work.rows(plan, 0, steps)
    cut = steps // 2
    outcomes = [session.run("step", 0, rows[:cut]), session.run("step", cut, rows[cut:])]
    assert [o.flags for o in outcomes] == [(), ()]
    reports = np.concatenate([o.reports for o in outcomes])
    assert len(reports) == steps and np.isfinite(reports).all()
    return Trained(first, state_root(state_of(session, work.job)), reports.tobytes())


def by_reference(work: Workload, steps: int) -> Trained:
    plan = compile_job(work.job, Target("reference"))
    return trained(ReferenceSession(plan, lowered(work.job)), work, plan, steps)


def natively(work: Workload, steps: int, target: Target, level: int, threads: int) -> Trained:
    plan = compile_job(work.job, target)
    session = LlvmSession(plan, threads, Compiler(target, level))
    try:
        return trained(session, work, plan, steps)
    finally:
        session.close()


@pytest.fixture(scope="module")
def small(home: Home) -> dict[str, tuple[Workload, Trained]]:
    """Each spec made small, and what the reference makes of it."""
    works = {name: on_made_up(name, home, SMALL[name]) for name in NAMES}
    return {name: (work, by_reference(work, STEPS[name])) for name, work in works.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("target", "level", "threads"), QUICK)
def test_small(small: dict[str, tuple[Workload, Trained]], name: str, target: str, level: int, threads: int) -> None:
    need(target)
    work, expected = small[name]
    assert natively(work, STEPS[name], TARGETS[target], level, threads) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("target", "level", "threads"), list(product(TARGETS, LEVELS, THREADS)))
def test_small_everywhere(
    small: dict[str, tuple[Workload, Trained]], name: str, target: str, level: int, threads: int
) -> None:
    need(target)
    work, expected = small[name]
    assert natively(work, STEPS[name], TARGETS[target], level, threads) == expected


@pytest.mark.parametrize(("name", "steps"), [("digits", 20), ("mnist_cnn", 1), ("char_gpt", 1)])
def test_in_full(home: Home, name: str, steps: int) -> None:
    work = on_made_up(name, home)
    assert natively(work, steps, host(), 2, 2) == by_reference(work, steps)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("digits", 200), ("mnist_cnn", 10), ("char_gpt", 10)])
def test_in_full_everywhere(home: Home, name: str, steps: int) -> None:
    work = on_made_up(name, home)
    expected = by_reference(work, steps)
    for target, threads in product(TARGETS, THREADS):
        if runs_here(TARGETS[target]):
            assert natively(work, steps, TARGETS[target], 2, threads) == expected, (target, threads)


def test_the_data_and_the_state_decide(home: Home) -> None:
    """Other batches, and another seed, lead to other roots: the comparisons above are not of constants."""
    work, reseeded = on_made_up("digits", home), on_made_up("digits", home, {"seed": "8"})
    two, three, other = by_reference(work, 2), by_reference(work, 3), by_reference(reseeded, 2)
    assert len({two.last, three.last, other.last}) == 3
    assert two.first == three.first != other.first


def need(target: str) -> None:
    if not runs_here(TARGETS[target]):
        pytest.skip(f"this processor cannot run code for {target}")
