"""Windows alternate, and each begins at the initial state; what is known of a median."""

from __future__ import annotations

from math import comb

import pytest

from bench import timing
from bench.timing import alternate, beyond, spread, window


class Recorded:
    """A contender that notes what is asked of it, and takes a second of a clock of its own for each step."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.state = name, log, 0

    def reset(self) -> None:
        self.state = 0

    def run(self, steps: int) -> None:
        self.state += steps
        self.log.append(f"{self.name}{self.state}")


def test_everyone_is_timed_in_every_window_from_the_start() -> None:
    log: list[str] = []
    found = alternate({name: Recorded(name, log) for name in "ab"}, windows=3, seconds=1e-9)
    assert [len(t.windows) for t in found.values()] == [3, 3]
    # a step to wake up, then the window: two steps at least, never on from the one before
    assert log[-12:] == ["a1", "a2", "b1", "b2"] * 3
    assert all(t.low <= t.median <= t.high for t in found.values())


@pytest.mark.parametrize(("step", "ran"), [(2.0, ["a1"]), (0.5, ["a1", "a1"])])
def test_a_long_step_is_its_own_window(step: float, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs none before it to wake threads and caches."""
    log: list[str] = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: step * len(log))
    assert window(Recorded("a", log), 1) == step
    assert log == ran


@pytest.mark.parametrize("count", range(1, 40))
def test_the_interval_of_a_median_misses_it_at_most_once_in_twenty(count: int) -> None:
    """Its bounds miss where fewer figures than are left out, and one, lie on one side; none can be left out of five."""
    outside = beyond(count)
    missing = [2 * sum(comb(count, i) for i in range(left + 1)) / 2**count for left in (outside, outside + 1)]
    assert missing[0] <= 0.05 < missing[1] or (outside == 0 and count < 6)


def test_a_spread_is_the_median_and_its_bounds() -> None:
    """Of 21 figures five on each side may be left out."""
    found = spread([*range(21, 0, -1)])
    assert (found.low, found.median, found.high) == (6, 11, 16)
    assert spread([3.0, 1.0]).high == 3.0
    with pytest.raises(ValueError):
        spread([])
