"""Axes of drawings: from numbers to places, and the marks between.

Takes: the least and the greatest number, the places they go to. Promises: marks at round numbers within; finite places
for all finite numbers, also where all are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True)
class Scale:
    """`low`, `high`: numbers; `start`, `end`: where they lie."""

    low: float
    high: float
    start: float
    end: float

    def at(self, number: float) -> float:
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)

    def marks(self, most: int) -> list[float]:
        """At most `most` + 1 round numbers, evenly apart."""
        step = round_step((self.high - self.low) / most)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """A scale that has some length, also for one number, and for numbers that a drawing cannot tell apart."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):
        space = abs(low) / 2 or 1.0
        low, high = low - space, high + space
    return Scale(low, high, start, end)


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** floor(log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def said(number: float) -> str:
    """A number beside an axis: `1.5k`, `0.002`, `3e-05`."""
    if number and (abs(number) < 1e-4 or abs(number) >= 1e15):
        return f"{number:.3g}"
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= power:
            return f"{number / power:.4g}{letter}"
    return f"{number:.4g}"
