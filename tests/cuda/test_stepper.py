"""`profile` and `tune` on CUDA, on the stand-in: the steps of a session, with every candidate's bits the same."""

from __future__ import annotations

import pytest

from jobspec.backends.c import stepper
from jobspec.backends.cuda import session
from jobspec.backends.cuda.target import target_of
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cli.conftest import call
from tests.cli.test_tune import net
from tests.cuda.stand_in import StandIn
from tests.spec_jobs import NAMES, SMALL, on_made_up
from tests.stepping import as_session, candidates_agree

pytestmark = pytest.mark.cuda
__all__ = ["call", "net"]


@pytest.mark.parametrize(
    ("name", "most"), [("digits", 3), *(pytest.param(name, 40, marks=pytest.mark.slow) for name in NAMES)]
)
def test_candidates_change_no_bit(name: str, most: int, home: Home) -> None:
    """Late, so that a time that is read before the work is done is found."""
    work = on_made_up(name, home, SMALL[name])
    plan, driver = compile_job(work.job, target_of(90)), StandIn(watched=False, late=True)
    row = work.rows(plan, 0, 1)[0]
    begun = stepper.begun(session.open_session(plan, driver, None), "step", row)
    as_session(begun, row)
    assert candidates_agree(begun, plan.target, most) > 2
    begun.close()
    assert driver.closed
