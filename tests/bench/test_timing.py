"""Windows alternate, and each begins at the initial state."""

from __future__ import annotations

from bench.timing import alternate


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
