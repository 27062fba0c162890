"""Bytes between devices: the estimate's own model of a mesh beside the graph of tasks of the same job.

The graph moves more than the model says, as far as the order of sums wants it (docs/estimate.md): within a factor of
two for axes of weights and places, exactly what is said for examples.
"""

from __future__ import annotations

import pytest

from jobspec.estimating.operations import Work, work_of
from jobspec.estimating.roles import Roles, roles
from jobspec.estimating.room import Sizes, sizes_of
from jobspec.estimating.told import Told, told
from jobspec.ir.job import Job
from jobspec.passes.split.traffic import traffic
from jobspec.scaling import step_routines
from tests.passes.meshes import meshed, spec

GPT = ("L=2", "D=256", "H=4", "V=256", "T=512", "B=4", "train.steps=4", "train.shards=4")
ALL = "mesh = [tp=2, pp=2, dp=2]; shard H F V over tp; shard L over pp; shard B over dp"


def parts(job: Job) -> tuple[Work, Roles, Sizes]:
    here = roles(job, job.phases[0], job.mesh(""))
    work = work_of(job, step_routines(job)["step"], here.cut, here.stacked)
    return work, here, sizes_of(job, work, here)


def said(job: Job) -> Told:
    return told(*parts(job), chunks=1)


@pytest.mark.parametrize(
    ("run", "least", "most"),
    [
        ("mesh = [tp=2]; shard H F V over tp", 1, 2),
        pytest.param("mesh = [tp=4]; shard H F V over tp", 1, 2, marks=pytest.mark.slow),
        ("mesh = [pp=2]; shard L over pp", 1, 2),
        ("mesh = [dp=4]; shard B over dp", 1, 1.001),
        ("mesh = [cp=2]; shard T over cp", 1, 2),
        pytest.param("mesh = [cp=4]; shard T over cp", 1, 2, marks=pytest.mark.slow),
        (ALL, 1, 2),
    ],
)
def test_a_small_gpt(run: str, least: float, most: float) -> None:
    job = spec("char_gpt", run, *GPT)
    assert least <= traffic(meshed(job)).total / said(job).total <= most


def test_what_a_layer_hands_on_moves_without_attention_and_slices_too() -> None:
    """Rows so short that the scores are no attention to the model: 32 places of 64 numbers, four pieces, two ways."""
    sizes = ("L=2", "D=64", "H=4", "V=64", "T=32", "B=4", "train.steps=4", "train.shards=4")
    job = spec("char_gpt", "mesh = [pp=2]; shard L over pp", *sizes)
    assert said(job).total == said(job).pipeline == 2 * 4 * 4 * 32 * 64
