"""Random models as `.job` texts (tests/models), through everything that a job goes through.

    written      `fmt` changes nothing that it has written, and no job hash; the record of a job reads back equal
    gradients    the step's own gradients, evaluated in float64, are the slopes of its loss: finite differences along a
                 random direction of each parameter; of models with kinks, PyTorch's autograd in float64
    bits         native code leaves exactly the reference's state after init and after each step and evaluation, in each
                 phase, under the schedules that are chosen and under any that a plan may hold

Tolerances: differences in float64 with steps of 1e-5 and 1e-6 are good to 1e-6 of the slope where they agree;
where they do not, a kink lies between, and the model says nothing. Against PyTorch 1e-6 of the largest gradient: the
constants of gradient rules (2/sqrt(pi) of erf) are float32 numbers, 6e-8 off, and a few of them follow each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host
from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.codec.job import decode_job, encode_job, job_hash
from jobspec.ir.job import Job, Phase
from jobspec.ir.program import Program
from jobspec.ir.target import Target
from jobspec.lang.check import load
from jobspec.lang.format import format_source
from jobspec.lang.source import Source
from jobspec.passes.differentiate import differentiate
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.engine import lowered
from tests.llvm.native import TARGETS
from tests.models.bits import by_reference, field_of, rescheduled, states
from tests.models.texts import models
from tests.passes import doubles, torch_meaning

pytestmark = pytest.mark.usefixtures("every_step_is_shared_out")
Array = np.ndarray
CALM = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def job_of(text: str) -> Job:
    return load(Source("random.job", text))


# ---- written ----


def check_written(text: str) -> None:
    once = format_source(Source("random.job", text))
    assert format_source(Source("random.job", once)) == once
    job, again = job_of(text), job_of(once)
    assert job_hash(job) == job_hash(again)
    assert decode_job(encode_job(job)) == replace(job, places={})


@settings(max_examples=25, **CALM)
@given(models())
def test_written_models_stay_what_they_are(text: str) -> None:
    check_written(text)


# ---- gradients ----


def phase_of(job: Job, seed: int) -> Phase:
    """One of the phases."""
    return job.phases[seed % len(job.phases)]


def inputs_of(job: Job, seed: int) -> dict[str, Array]:
    """First values of the state, and a random batch."""
    random = np.random.default_rng(seed)
    feeds = phase_of(job, seed).batches.feeds
    fields = {feed.name: field_of(random, feed.type.dtype, feed.type.shape) for feed in feeds}
    return {**evaluate(lowered(job).init, {}), **fields, "step": np.array(0, np.int32)}


def forward(text: str, seed: int) -> Program:
    """The loss alone, of the batch in one piece: pieces must change nothing but the order of sums."""
    step = phase_of(job_of(re.sub(r"shards = \d+", "shards = 1", text)), seed).step
    return Program(step.inputs, (("loss", dict(step.outputs)["report.loss"]),))


def parameters_of(job: Job) -> list[str]:
    return [slot.name for slot in job.state if slot.kind == "parameter"]


def own_gradients(job: Job, inputs: dict[str, Array], seed: int) -> dict[str, Array]:
    """What the step subtracts: the text's optimizer is p := p - g. In float64."""
    after = doubles.evaluate(differentiate(phase_of(job, seed).step), inputs)
    return {name: doubles.wide(inputs[name]) - after[name] for name in parameters_of(job)}


def slope(program: Program, inputs: dict[str, Array], name: str, direction: Array, step: float) -> float:
    ends = [doubles.evaluate(program, {**inputs, name: inputs[name] + sign * step * direction}) for sign in (1, -1)]
    return float(ends[0]["loss"] - ends[1]["loss"]) / (2 * step)


def check_slopes(text: str, seed: int) -> None:
    job = job_of(text)
    inputs = {name: doubles.wide(np.asarray(x)) for name, x in inputs_of(job, seed).items()}
    found, program, random = own_gradients(job, inputs, seed), forward(text, seed), np.random.default_rng(seed)
    for name, gradient in found.items():
        direction = random.standard_normal(gradient.shape)
        coarse, fine = (slope(program, inputs, name, direction, h) for h in (1e-5, 1e-6))
        limit = 1e-6 * max(1.0, abs(fine))
        assume(abs(coarse - fine) <= limit)
        assert abs(float((gradient * direction).sum()) - fine) <= 2 * limit, name


@settings(max_examples=25, **CALM)
@given(models(smooth=True, plain=True), st.integers(0, 99))
def test_gradients_are_slopes(text: str, seed: int) -> None:
    check_slopes(text, seed)


def check_against_torch(torch: Any, text: str, seed: int) -> None:
    job = job_of(text)
    inputs = inputs_of(job, seed)
    found = own_gradients(job, inputs, seed)
    truth = torch_meaning.gradients(torch, forward(text, seed), inputs, list(found))
    for name, gradient in found.items():
        limit = 1e-6 * max(1.0, float(np.abs(truth[name]).max(initial=0.0)))
        assert np.abs(gradient - truth[name]).max(initial=0.0) <= limit, name


@pytest.mark.oracle
@settings(max_examples=40, **CALM)
@given(models(plain=True), st.integers(0, 99))
def test_gradients_are_those_of_pytorch(text: str, seed: int) -> None:
    check_against_torch(pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'"), text, seed)


# ---- bits ----


@dataclass(frozen=True)
class Way:
    """`level`: of code generation. `drawn`: under schedules drawn at random among those that a plan may hold."""

    target: Target
    threads: int
    level: int
    drawn: bool


HERE = st.builds(Way, st.just(host()), st.sampled_from([1, 2]), st.sampled_from([0, 2]), st.booleans())


def check_bits(text: str, seed: int, way: Way) -> None:
    job = job_of(text)
    plan = compile_job(job, way.target)
    plan = rescheduled(plan, seed) if way.drawn else plan
    session = LlvmSession(plan, way.threads, Compiler(way.target, way.level))
    assert states(session, job, plan, seed) == by_reference(job, seed)


@settings(max_examples=10, **CALM)
@given(models(), st.integers(0, 99), HERE)
def test_native_bits_are_the_reference_s(text: str, seed: int, way: Way) -> None:
    check_bits(text, seed, way)


# ---- thousands ----


WAYS = st.builds(Way, st.sampled_from(TARGETS), st.sampled_from([1, 2]), st.sampled_from([0, 1, 2, 3]), st.booleans())
MANY = models(steps=20) | models(steps=12, wide=True)


@pytest.mark.slow
@settings(max_examples=2000, **CALM)
@given(models(steps=20))
def test_many_written_models(text: str) -> None:
    check_written(text)


@pytest.mark.slow
@settings(max_examples=1000, **CALM)
@given(models(smooth=True, plain=True, steps=20), st.integers(0, 99))
def test_many_slopes(text: str, seed: int) -> None:
    check_slopes(text, seed)


@pytest.mark.slow
@pytest.mark.oracle
@settings(max_examples=1000, **CALM)
@given(models(plain=True, steps=20), st.integers(0, 99))
def test_many_gradients_of_pytorch(text: str, seed: int) -> None:
    check_against_torch(pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'"), text, seed)


@pytest.mark.slow
@settings(max_examples=1000, **CALM)
@given(MANY, st.integers(0, 99), WAYS)
def test_many_native_bits(text: str, seed: int, way: Way) -> None:
    check_bits(text, seed, way)
