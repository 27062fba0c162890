"""The checkpoint interval, against its neighbours, Young's formula and a simulation."""

from __future__ import annotations

from math import sqrt
from random import Random

import pytest

from jobspec.estimating.outages import effective, interval

CASES = [(3.2, 600.0, 11_160.0), (60.0, 300.0, 3_600.0), (0.1, 10.0, 1e6)]


@pytest.mark.parametrize(("write", "restart", "between"), CASES)
def test_no_neighbour_is_better(write: float, restart: float, between: float) -> None:
    every = interval(write, between)
    best = effective(every, write, restart, between)
    assert all(effective(every * f, write, restart, between) <= best + 1e-6 for f in (0.5, 0.8, 1.25, 2.0))
    assert every == pytest.approx(sqrt(2 * write * between), rel=0.15)


def test_writing_that_takes_longer_than_training_lasts() -> None:
    assert interval(500.0, 100.0) == 100.0


@pytest.mark.parametrize(("write", "restart", "between"), CASES[:2])
def test_a_simulation_comes_to_the_same(write: float, restart: float, between: float) -> None:
    every = interval(write, between)
    assert lived(every, write, restart, between, Random(1)) == pytest.approx(
        effective(every, write, restart, between), rel=0.03
    )


def lived(every: float, write: float, restart: float, between: float, random: Random) -> float:
    """The part of the time that training took, interruptions at random, during restarts too."""
    now = done = 0.0
    next_one = random.expovariate(1 / between)
    while done < 3000 * every:
        if now + every + write <= next_one:
            now, done = now + every + write, done + every
            continue
        now = next_one
        while (next_one := now + random.expovariate(1 / between)) < now + restart:
            now = next_one
        now += restart
    return done / now
