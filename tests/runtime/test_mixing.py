"""Mixtures: exact counts per block, nothing twice and nothing left out, any position by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.job import Batches, Job, Part, Phase, Source, Stream
from jobspec.ir.types import Type
from jobspec.runtime.mixing import parts_at, skips, taken
from tests.runtime.jobs import F32, KEY, regression

ROOTS = {name: "b3:" + digit * 64 for name, digit in zip("abc", "123", strict=True)}

counts = st.lists(st.integers(1, 12), min_size=2, max_size=5)


def mixture(counts: list[int], order: str = "shuffle", key: bytes = KEY) -> Stream:
    return Stream(tuple(Part(f"d{i}", n) for i, n in enumerate(counts)), order, 0, key)


@given(counts, st.integers(0, 40), st.sampled_from(["shuffle", "sequence"]))
def test_every_block_has_exactly_its_counts(counts: list[int], block: int, order: str) -> None:
    stream = mixture(counts, order)
    parts, before = parts_at(stream, block * stream.block, stream.block)
    assert Counter(parts.tolist()) == dict(enumerate(counts))
    for number, count in enumerate(counts):
        assert before[parts == number].tolist() == list(range(block * count, (block + 1) * count))


@given(counts, st.integers(0, 10_000), st.integers(0, 200), st.integers(0, 200))
def test_any_cut_of_positions_gives_the_same(counts: list[int], first: int, one: int, two: int) -> None:
    stream = mixture(counts)
    whole = parts_at(stream, first, one + two)
    pieces = [parts_at(stream, first, one), parts_at(stream, first + one, two)]
    for number in (0, 1):
        assert (whole[number] == np.concatenate([piece[number] for piece in pieces])).all()


@given(counts, st.integers(0, 3000))
def test_taken_counts_what_stands_before(counts: list[int], position: int) -> None:
    stream = mixture(counts)
    parts, _ = parts_at(stream, 0, position)
    assert taken(stream, position) == tuple(np.bincount(parts, minlength=len(counts)))


def test_blocks_differ_and_keys_differ() -> None:
    stream, other = mixture([40, 60]), mixture([40, 60], key=bytes(32))
    first, second = (parts_at(stream, start, 100)[0] for start in (0, 100))
    assert (first != second).any() and (first != parts_at(other, 0, 100)[0]).any()
    assert (np.diff(first) != 0).sum() > 20


def test_places_of_a_block_are_chosen_evenly() -> None:
    """Each of the six orders of two and two comes about equally often."""
    parts, _ = parts_at(mixture([2, 2]), 0, 4 * 6000)
    found = Counter(map(tuple, parts.reshape(-1, 4).tolist()))
    assert len(found) == 6
    assert sum((n - 1000) ** 2 / 1000 for n in found.values()) < 20.5  # 5 degrees of freedom, p = 0.001


def test_the_largest_block_is_worked_out() -> None:
    stream = mixture([(1 << 20) - 3, 3])
    parts, before = parts_at(stream, (1 << 20) - 5, 10)
    assert len(parts) == 10 and (before[parts == 0] >= 0).all()


# ---- phases ----


def mixed(counts: dict[str, int], order: str = "shuffle") -> Stream:
    return Stream(tuple(Part(name, n) for name, n in counts.items()), order, 0, KEY)


def job_of(*phases: tuple[Stream, int, int]) -> Job:
    """Phases of (stream, steps of 4 examples, first)."""
    line = regression(ROOTS["a"])
    sources = tuple(Source(name, root, "table", (("x", Type("f32", (3,))), ("y", F32))) for name, root in ROOTS.items())
    found = tuple(
        Phase(f"p{i}", steps, line.phases[0].step, Batches(stream, 4, line.phases[0].batches.feeds, first))
        for i, (stream, steps, first) in enumerate(phases)
    )
    return replace(line, sources=sources, phases=found, evaluations=())


def test_a_data_set_goes_on_behind_what_other_mixtures_took() -> None:
    half, most, alone = mixed({"a": 1, "b": 1}), mixed({"a": 3, "c": 1}), mixed({"a": 1})
    job = job_of((half, 5, 0), (most, 3, 0), (alone, 2, 0), (half, 1, 20))
    assert [skips(job, phase) for phase in job.phases] == [(0, 0), (10, 0), (19,), (17, 0)]


def test_no_example_comes_twice_in_an_epoch() -> None:
    """Over all phases the places of each data set are 0, 1, 2, …"""
    half, odd, alone = mixed({"a": 1, "b": 1}), mixed({"c": 2, "a": 5}), mixed({"a": 1})
    job = job_of((half, 3, 0), (odd, 2, 0), (alone, 1, 0), (odd, 3, 8), (half, 2, 12))
    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for phase in job.phases:
        stream, behind = phase.batches.stream, skips(job, phase)
        parts, before = parts_at(stream, phase.batches.first, 4 * phase.steps)
        for part, place in zip(parts, before, strict=True):
            seen[stream.parts[part].source].append(int(place) + behind[part])
    for places in seen.values():
        assert places == list(range(len(places)))


@pytest.mark.parametrize("change", [{"order": "sequence"}, {"window": 8}, {"key": bytes(32)}])
def test_another_reading_begins_anew(change: dict[str, Any]) -> None:
    stream = mixed({"a": 1})
    job = job_of((stream, 5, 0), (replace(stream, **change), 5, 0))
    assert skips(job, job.phases[1]) == (0,)
