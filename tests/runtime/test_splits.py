"""Split times: few, in order, to the end of what there was."""

from __future__ import annotations

import pytest

from jobspec.runtime.splits import MOST, Splits


@pytest.mark.parametrize("steps", [1, MOST, MOST + 1, 5 * MOST])
def test_few_and_in_order(steps: int) -> None:
    splits = Splits()
    for step in range(steps):
        splits.at(step)
    taken = [step for step, _ in splits.taken]
    assert taken == list(range(0, steps, splits.every)) and len(taken) <= MOST
    assert (splits.every == 1) == (steps <= MOST)
    times = [seconds for _, seconds in splits.taken]
    assert times == sorted(times) and 0 <= times[-1] <= splits.seconds + 1e-3
