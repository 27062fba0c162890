"""How far one state is from another where bits may differ; what is no number, or moved for nothing, is furthest."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jobspec.verify.across import distance, furthest

ZERO, ONE = np.zeros(3, np.float32), np.ones(3, np.float32)
NAN = np.array([1, np.nan, 1], np.float32)


@pytest.mark.parametrize(
    ("before", "wanted", "found", "away"),
    [
        (ZERO, ONE, ONE, 0.0),
        (ZERO, ONE, 1.25 * ONE, 0.25),
        (ZERO, ONE, ZERO, 1.0),
        (ONE, ONE, ONE, 0.0),
        (ONE, ONE, ZERO, math.inf),
        (ZERO, ONE, NAN, math.inf),
        (ZERO, ONE, np.inf * ONE, math.inf),
        (np.arange(3), np.arange(3) + 1, np.arange(3) + 1, 0.0),
        (np.arange(3), np.arange(3) + 1, np.arange(3), math.inf),
    ],
)
def test_the_distance_is_measured_by_the_movement(
    before: np.ndarray, wanted: np.ndarray, found: np.ndarray, away: float
) -> None:
    assert distance(before, wanted, found) == pytest.approx(away)


def test_the_furthest_tensor_is_named() -> None:
    before, wanted = {"a": ZERO, "b": ZERO}, {"a": ONE, "b": ONE}
    assert furthest(before, wanted, {"a": 1.5 * ONE, "b": 1.25 * ONE}) == ("a", 0.5)
    assert furthest(before, wanted, {"a": ONE, "b": NAN}) == ("b", math.inf)
