"""The work of a step, by place: equal to closed forms over the sizes of the model."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from jobspec.estimating.anatomy import AFTER, BACK, BEFORE, LAYERS, MIDDLE, UPDATE
from jobspec.estimating.estimate import estimate
from jobspec.estimating.operations import Work, work_of
from jobspec.estimating.roles import roles
from jobspec.ir.mesh import mesh_of
from jobspec.passes.tally import of_routine
from tests.estimating.shipped import SPECS, cluster, job_of, routines_of

L, D, G, R, K, F, V, T = 32, 4096, 8, 4, 128, 14_336, 128_256, 8192
#: weights of a layer's contractions
LAYER = 2 * D * G * R * K + 2 * D * G * K + 3 * D * F


def work(name: str, *values: tuple[str, str]) -> Work:
    job = job_of(name, *values)
    found = roles(job, job.phases[0], mesh_of(job.runs, job.phases[0].name))
    return work_of(job, routines_of(name, *values)[job.step_names[0]], found.cut, found.stacked)


def flop(found: Work, place: str, attention: bool) -> float:
    return sum(o.flop * o.count for o in found.at[place] if o.attention == attention)


def test_layers_are_counted_once_and_pieces_are_windows() -> None:
    found = work("llama3_8b")
    assert (found.pieces, found.layers, found.width) == (512, L, 2)
    assert flop(found, LAYERS, False) == 2 * T * LAYER
    assert flop(found, BACK, False) == 2 * flop(found, LAYERS, False)
    assert flop(found, MIDDLE, False) == 2 * 2 * T * D * V
    assert flop(found, AFTER, False) == 2 * T * D * V
    assert not flop(found, BEFORE, False) and not flop(found, UPDATE, False)


def test_attention_is_half_and_its_scores_are_made_twice() -> None:
    """Two contractions forth, four back, and the scores once more."""
    found = work("llama3_8b")
    one = 2 * G * R * T * T * K / 2
    assert flop(found, LAYERS, True) == 2 * one
    assert flop(found, BACK, True) == 5 * one
    assert found.useful == 512 * (3 * 2 * T * (L * LAYER + D * V) + L * 6 * one)


def test_what_is_kept_and_what_places_must_meet() -> None:
    found = work("llama3_8b")
    heads, small = G * R * K, G * K
    assert found.kept == T * (heads + 2 * small + heads + D + 2 * F + D)
    assert found.met == 2 * T * small
    assert found.looked_up == {"emb"}


def test_sums_over_parts_of_a_cut_axis() -> None:
    """Forth: the ways out of attention and mlp, the embedding; back: the ways in, and the head."""
    found = work("llama3_8b")
    assert found.summed[LAYERS] == (T * D,) * 2
    assert found.summed[BACK] == (T * D,) * 5
    assert found.summed[BEFORE] == found.summed[MIDDLE] == (T * D,)


def test_nothing_is_summed_where_nothing_is_cut() -> None:
    job = job_of("llama3_8b")
    found = work_of(job, routines_of("llama3_8b")["step"], (), None)
    assert not any(found.summed.values())


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 8])
def test_pieces_of_any_number(shards: int) -> None:
    """As many as `shards` says, a nest of loops for each power of two in it; the work of them all is the same."""
    values = (("B", "168"), ("train.shards", str(shards)), ("run.mesh", "[tp=1, dp=1]"))
    found = work("llama3_8b", *values)
    assert found.pieces == shards
    assert found.useful == pytest.approx(168 / 512 * work("llama3_8b").useful)


def test_a_model_without_attention_has_none() -> None:
    found = work("digits")
    assert not any(o.attention for operations in found.at.values() for o in operations)
    assert (found.pieces, found.layers, found.width) == (1, 1, 4)
    assert found.useful == 2 * 128 * (3 * (64 * 128 + 128 * 128 + 128 * 10) - 64 * 128)


def test_heads_of_another_form() -> None:
    """Attention without groups, with dropout or biases between: the same two contractions are found."""
    found = work("gpt2_124m", ("train.shards", "512"), ("run.mesh", "[dp=1]"))
    assert flop(found, LAYERS, True) == 2 * (2 * 12 * 1024 * 1024 * 64 / 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.job")))
def test_every_shipped_job_has_an_estimate(name: str) -> None:
    """What the model asks for is at most what the plan's contractions count; time and memory are finite."""
    job = replace(job_of(name), runs=())
    found = estimate(job, routines_of(name), cluster("h100_8"))
    assert len(found.steps) == len(job.phases)
    for step, routine in zip(found.steps, job.step_names, strict=True):
        counted = of_routine(routines_of(name)[routine]).contractions
        assert 0 < step.useful <= counted * (1 + 1e-9)
        assert 0 < step.seconds < inf and 0 < step.room.total < inf
        assert sum(step.spent.values()) == pytest.approx(step.seconds)
