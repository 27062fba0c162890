"""Alternating timings in one process: what is compared runs in turn, window by window.

Takes: contenders that run steps from a fixed start. Promises: every contender is timed in every window, in the same
order, so that a machine that drifts drifts for all; each window begins at the initial state and ends with the same step
for all; medians and spreads are over windows. `Spread` is a median with the bounds between which it is known to lie.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import comb
from typing import Protocol

#: how likely the bounds of a median are to miss it, at most
MISSED = 0.05
#: seconds of a step beside which it does not count that threads and caches wake up
LONG = 1.0


class Contender(Protocol):
    """One way to train a job."""

    def reset(self) -> None:
        """Back to the initial state."""

    def run(self, steps: int) -> None:
        """The first `steps` steps, or as many times round the batches at hand as that takes."""


@dataclass(frozen=True)
class Timing:
    """Seconds per step over windows."""

    windows: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.windows)

    @property
    def low(self) -> float:
        return min(self.windows)

    @property
    def high(self) -> float:
        return max(self.windows)


@dataclass(frozen=True)
class Spread:
    """The median of some figures, and an interval that holds the median of all that could have been measured with a
    probability of 95 %, whatever they are distributed like; of fewer than six figures all lie in it."""

    median: float
    low: float
    high: float


def spread(figures: Iterable[float]) -> Spread:
    """Source of the interval: the sign test. Raises ValueError where there are no figures."""
    ordered = sorted(figures)
    outside = beyond(len(ordered))
    return Spread(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def beyond(count: int) -> int:
    """How many of `count` figures may be left out on each side."""
    tail, outside = 2, 0
    while tail + 2 * comb(count, outside + 1) <= MISSED * 2**count:
        outside += 1
        tail += 2 * comb(count, outside)
    return outside


def window(contender: Contender, steps: int) -> float:
    """Seconds per step, after a step that wakes threads and caches up; one so long that waking does not count is itself
    the window where one is asked for."""
    first = seconds_of(contender, 1)
    return first if steps == 1 and first >= LONG else seconds_of(contender, steps) / steps


def seconds_of(contender: Contender, steps: int) -> float:
    """From the initial state."""
    contender.reset()
    start = time.perf_counter()
    contender.run(steps)
    return time.perf_counter() - start


def steps_for(contender: Contender, seconds: float) -> int:
    """How many steps fill a window."""
    return max(2, round(seconds / window(contender, 5)))


def alternate(contenders: Mapping[str, Contender], windows: int, seconds: float) -> dict[str, Timing]:
    """Time all contenders in `windows` windows of about `seconds` each."""
    counts = {name: steps_for(contender, seconds) for name, contender in contenders.items()}
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for name in rounds(contenders, windows):
        seen[name].append(window(contenders[name], counts[name]))
    return {name: Timing(tuple(times)) for name, times in seen.items()}


def rounds(contenders: Mapping[str, Contender], windows: int) -> Iterator[str]:
    for _ in range(windows):
        yield from contenders
