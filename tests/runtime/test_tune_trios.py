"""What `tune` makes of three kernels that may be one launch: times are of all three, whoever did the work."""

from __future__ import annotations

from math import inf

from jobspec.backends.cuda.target import target_of
from jobspec.ir.plan import Schedule
from jobspec.ir.trio import trios
from jobspec.runtime.tune import menu, taken
from tests.trios import SHAPES, Shape, apart, attention, without_memory

TARGET = target_of(90)


def test_times_are_of_all_three() -> None:
    """Variants: apart as at present, one launch, apart with other candidates for the two outer ones."""
    routine, _ = attention(SHAPES[0])
    (trio,) = trios(routine)
    times = [[3.0, 1.0, 4.0], [0.0, 6.0, 0.0], [2.0, 0.5, 9.0]]
    assert taken(times, 0, trio) == [3.0, inf, 2.0]
    assert taken(times, 1, trio) == [8.0, 6.0, 7.5]
    assert taken(times, 2, trio) == [4.0, inf, 9.0]
    assert taken(times, 1, None) == [1.0, 6.0, 0.5]


def test_times_of_what_is_one_launch_at_present() -> None:
    routine, _ = attention(SHAPES[0])
    (trio,) = trios(routine)
    assert taken([[0.0, 6.0, 0.0], [3.0, 1.0, 4.0]], 1, trio) == [6.0, 8.0]


def test_what_is_tried() -> None:
    """One launch where there is a trio, nothing else where it has no memory between; never of rows by themselves."""

    def rows(made: list[Schedule]) -> list[int]:
        return [schedule.get("between", 0) for schedule in made]

    routine, _ = attention(SHAPES[0])
    assert set(rows(menu(apart(routine), 1, TARGET, 9))) == {0, 8, 16, 32}
    assert rows(menu(without_memory(routine), 1, TARGET, 9)) == [8, 32, 32, 16, 16]
    alone, _ = attention(Shape(1, 1, 9, 18, 12, 12))
    assert set(rows(menu(apart(alone), 1, TARGET, 9))) == {0}
