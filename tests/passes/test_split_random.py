"""Random models (tests/models) cut into tasks: the tasks' results are the step's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program
from jobspec.passes.pipeline import lower_program
from jobspec.passes.split.graph import STEP
from jobspec.passes.split.pieces import cut_pieces
from tests.models.texts import models
from tests.passes.task_graphs import Array, Arrays, evaluated
from tests.test_random_models import inputs_of, job_of, phase_of

CALM: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def check_cut(text: str, seed: int, blocks: int, shares: int) -> None:
    job = job_of(text)
    phase, inputs = phase_of(job, seed), {k: np.asarray(x) for k, x in inputs_of(job, seed).items()}

    def run(program: Program, given: Arrays, step: int) -> dict[str, Array]:
        return evaluate(lower_program(program, job.profile), {**given, STEP: np.array(step, np.int32)})

    graph = cut_pieces(phase.step, [feed.name for feed in phase.batches.feeds], blocks, shares)
    found, want = evaluated(graph, inputs, run, 3), run(phase.step, inputs, 3)
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert np.asarray(found[name]).tobytes() == np.asarray(value).tobytes(), name


@settings(max_examples=12, **CALM)
@given(models(), st.integers(0, 99), st.integers(1, 5), st.integers(1, 3))
def test_random_models_are_cut(text: str, seed: int, blocks: int, shares: int) -> None:
    check_cut(text, seed, blocks, shares)


@pytest.mark.slow
@settings(max_examples=600, **CALM)
@given(models(), st.integers(0, 99), st.integers(1, 5), st.integers(1, 3))
def test_many_random_models_are_cut(text: str, seed: int, blocks: int, shares: int) -> None:
    check_cut(text, seed, blocks, shares)
