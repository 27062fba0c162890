"""Counters of random draws: the row-major index, however many elements there are."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Program
from jobspec.lang import draws
from jobspec.lang.refusal import Refusal


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 1, 5)])
def test_both_ways_to_count_agree(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = draws.indices(shape)
    monkeypatch.setattr(draws, "LONGEST_AXIS", 2)
    by_axes = draws.indices(shape)
    assert by_axes is not plain
    found = evaluate(Program((), (("plain", plain), ("by_axes", by_axes))), {})
    assert np.array_equal(found["plain"], found["by_axes"])
    assert np.array_equal(found["plain"].reshape(-1), np.arange(found["plain"].size))


def test_more_than_an_axis_can_hold() -> None:
    """The routed experts of one layer of DeepSeek-V3."""
    assert draws.indices((256, 7168, 2048)).shape == (256, 7168, 2048)
    with pytest.raises(Refusal, match="2\\^32"):
        draws.indices((1 << 16, 1 << 16))
