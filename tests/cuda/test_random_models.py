"""Random models as `.job` texts (tests/models) as PTX on the stand-in, watched: the reference's state after init, each
step and each evaluation, under the schedules that are chosen and under any that a plan may hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.backends.cuda.session import open_session
from jobspec.backends.cuda.target import target_of
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job
from tests.cuda.programs import LEVELS
from tests.cuda.stand_in import StandIn
from tests.cuda.test_session import mask
from tests.device_kernels import RELAXED
from tests.models.bits import by_reference, rescheduled, states
from tests.models.texts import models

pytestmark = pytest.mark.cuda


def check(text: str, seed: int, level: int, drawn: bool, late: bool) -> None:
    """`drawn`: under schedules drawn by `seed`. `late`: what the driver may do later it does, threads from the last."""
    job = load(Source("random.job", text))
    plan = compile_job(job, target_of(level), checked=True)
    plan = rescheduled(plan, seed) if drawn else plan
    driver = StandIn(level, masks=(mask(plan),), late=late, backwards=late)
    assert states(open_session(plan, driver, None), job, plan, seed) == by_reference(job, seed)
    assert driver.closed


@settings(RELAXED, max_examples=2)
@given(models(steps=6), st.integers(0, 99), st.sampled_from(LEVELS), st.booleans(), st.booleans())
def test_bits_are_the_reference_s(text: str, seed: int, level: int, drawn: bool, late: bool) -> None:
    check(text, seed, level, drawn, late)


@pytest.mark.slow
@settings(RELAXED, max_examples=100)
@given(
    models(steps=16) | models(steps=12, wide=True),
    st.integers(0, 99),
    st.sampled_from(LEVELS),
    st.booleans(),
    st.booleans(),
)
def test_many_models(text: str, seed: int, level: int, drawn: bool, late: bool) -> None:
    check(text, seed, level, drawn, late)
