"""The simulated pipeline against closed forms and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.estimating.pipeline import ROUNDS, Chunk, rounds, run, timeline


def even(stages: int, chunks: int, forth: float = 1.0, back: float = 2.0) -> list[list[Chunk]]:
    return [[Chunk(forth, back, layers=1) for _ in range(chunks)] for _ in range(stages)]


@pytest.mark.parametrize(("stages", "chunks", "rounds"), [(2, 1, 3), (4, 1, 2), (4, 2, 1), (4, 4, 2), (8, 3, 3)])
def test_the_bubble_of_the_interleaved_schedule(stages: int, chunks: int, rounds: int) -> None:
    """Narayanan et al. 2021: (p - 1)/v of a micro-batch's way forth and back through a stage."""
    micro = rounds * stages
    found = timeline(even(stages, chunks), micro, hop=0.0)
    assert found.busy == micro * chunks * 3
    assert found.seconds == pytest.approx(found.busy + (stages - 1) * 3)


@settings(max_examples=60, deadline=None)
@given(stages=st.integers(1, 5), chunks=st.integers(1, 4), micro=st.integers(1, 14), hop=st.floats(0, 2))
def test_every_number_comes_out(stages: int, chunks: int, micro: int, hop: float) -> None:
    """Never faster than its busiest stage and its longest way, never slower than one thing at a time."""
    seconds, held = run(even(stages, chunks), micro, hop)
    length = stages * chunks * 3 + (2 * (stages * chunks - 1) * hop if stages > 1 else 0)
    assert max(micro * chunks * 3, length) <= seconds + 1e-9
    assert seconds <= micro * length + 1e-9
    assert chunks <= held <= micro * chunks


@pytest.mark.parametrize("micro", [ROUNDS * 4 + 4, ROUNDS * 4 + 24])
def test_many_micro_batches_add_what_the_last_rounds_did(micro: int) -> None:
    stages = even(4, 2, 1.0, 1.7)
    assert timeline(stages, micro, 0.1).seconds == pytest.approx(run(stages, micro, 0.1)[0], rel=1e-9)


def test_gradients_wait_for_the_last_micro_batch_and_hide_behind_it() -> None:
    """Of four equal layers only the last one's gradients have nothing to hide behind."""
    quiet = [Chunk(1.0, 2.0, layers=1)] * 4
    loud = [Chunk(1.0, 2.0, 0.0, 2.0, 1)] * 4
    assert run([loud], 3, 0.0)[0] == run([quiet], 3, 0.0)[0] + 2.0
    slow = [Chunk(1.0, 2.0, 0.0, 5.0, 1)] * 4
    assert run([slow], 3, 0.0)[0] >= run([quiet], 3, 0.0)[0] + 5.0 + 3 * (5.0 - 3.0)


def test_weights_are_gathered_before_they_are_used() -> None:
    late = [Chunk(1.0, 2.0, gather=10.0)]
    assert run([late], 2, 0.0)[0] == 10.0 + 2 * 3


def test_what_is_held() -> None:
    """Plain 1F1B: as many micro-batches as there are stages behind the first, and its own."""
    assert run(even(4, 1), 12, 0.0)[1] == 4
    assert run(even(1, 6), 5, 0.0)[1] == 6


def test_rounds_are_as_even_as_can_be() -> None:
    assert rounds(16, 21) == [21] and rounds(16, 43) == [22, 21] and rounds(16, 8) == [8] and rounds(4, 8) == [4, 4]
