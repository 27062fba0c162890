"""The slow oracle itself, on numbers worked out by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import naive

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
FOLDED = {1: "0", 2: "(01)", 3: "((01)2)", 5: "(((01)(23))4)", 6: "(((01)(23))(45))"}


@given(FLOATS, FLOATS)
def test_rounding_of_sums_and_products_agrees_with_the_c_library(a: float, b: float) -> None:
    # a float64 sum or product of two float32, narrowed, is correctly rounded (53 ≥ 2 · 24 + 2)
    for exact, wide in ((Fraction(a) + Fraction(b), a + b), (Fraction(a) * Fraction(b), a * b)):
        if abs(wide) < 3e38:
            assert naive.rounded(exact, wide) == naive.f32(wide)


def test_fma_rounds_once() -> None:
    a = 1 + 2.0**-12
    assert naive.fma(a, a, -(1 + 2.0**-11)) == 2.0**-24
    assert naive.f32(a * a) - (1 + 2.0**-11) == 0.0


def test_ties_go_to_even_and_overflow_to_infinity() -> None:
    assert naive.rounded(Fraction(2**24 + 1), 0.0) == 2**24
    assert naive.rounded(Fraction(2**24 + 3), 0.0) == 2**24 + 4
    assert naive.rounded(Fraction(2) ** 128 - Fraction(2) ** 103, 0.0) == math.inf
    assert naive.rounded(Fraction(2) ** -150, 0.0) == 0.0
    assert naive.rounded(Fraction(3) * Fraction(2) ** -150, 0.0) == 2.0**-148


@pytest.mark.parametrize(("count", "folded"), FOLDED.items())
def test_the_adjacent_tree_carries_an_odd_tail_up(count: int, folded: str) -> None:
    parts: list[str] = [str(i) for i in range(count)]
    assert naive.adjacent_tree(parts, lambda a, b: f"({a}{b})") == folded  # type: ignore[arg-type, return-value, comparison-overlap]


def test_lanes_fold_with_the_lane_half_way_across() -> None:
    parts: list[str] = [f"{i}." for i in range(5)]
    folded = naive.lanes(parts, lambda a, b: f"({a}{b})")  # type: ignore[arg-type, return-value]
    assert folded == "(((0.4.)2.)(1.3.))"  # type: ignore[comparison-overlap]
