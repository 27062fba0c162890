"""Random models as `.job` texts (tests/models) on OpenCL, in the shapes of processors and of GPUs: the reference leaves
the same state after init, each step and each evaluation, under the schedules chosen and under any a plan may hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job
from tests.device_kernels import RELAXED
from tests.models.bits import by_reference, rescheduled, states
from tests.models.texts import models
from tests.opencl.programs import opencl

pytestmark = pytest.mark.opencl
SHAPES = st.sampled_from(["cpu", "gpu"])


def check(text: str, seed: int, shape: str, drawn: bool) -> None:
    """`drawn`: under schedules drawn by `seed`."""
    job, own = load(Source("random.job", text)), opencl().target
    target = own if shape == "cpu" else replace(own, features="gpu", lanes=1)
    plan = compile_job(job, target, checked=True)
    plan = rescheduled(plan, seed) if drawn else plan
    session = opencl().open(replace(plan, target=own), job, 1, Path())
    assert states(session, job, plan, seed) == by_reference(job, seed)


@settings(RELAXED, max_examples=1)
@given(models(steps=4), st.integers(0, 99), SHAPES, st.booleans())
def test_bits_are_the_reference_s(text: str, seed: int, shape: str, drawn: bool) -> None:
    check(text, seed, shape, drawn)


@pytest.mark.slow
@settings(RELAXED, max_examples=100)
@given(models(steps=16) | models(steps=12, wide=True), st.integers(0, 99), SHAPES, st.booleans())
def test_many_models(text: str, seed: int, shape: str, drawn: bool) -> None:
    check(text, seed, shape, drawn)
