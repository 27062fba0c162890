"""Compile-time numbers: exact where they can be, correctly rounded where not, and never libm's."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.lang import constants as c

FUNCTIONS = ("exp", "log", "tanh", "erf", "sin", "cos")
floats = st.floats(allow_nan=False, allow_infinity=False)


def true(name: str, x: float) -> float:
    with mpmath.workprec(1500):
        return nearest(getattr(mpmath, name)(mpmath.mpf(x)))


def nearest(x: mpmath.mpf) -> float:
    """Rounded once, subnormals too (mpmath's own conversion rounds those twice)."""
    sign, mantissa, exponent, _ = x._mpf_
    return float((-1) ** sign * int(mantissa) * Fraction(2) ** exponent)


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(deadline=None)
@given(x=st.floats(-750, 700) | st.floats(-1e-3, 1e-3))
def test_functions_are_correctly_rounded(name: str, x: float) -> None:
    x = abs(x) if name == "log" else x
    if x != 0:
        assert c.FUNCTIONS[name](x) == true(name, x)


@settings(deadline=None)
@given(st.floats(1e-300, 1e300), st.floats(-30, 30))
def test_powers_are_correctly_rounded(x: float, y: float) -> None:
    with mpmath.workprec(500):
        value = mpmath.power(mpmath.mpf(x), mpmath.mpf(y))
    expected = math.inf if value >= mpmath.mpf(2) ** 1024 else nearest(value)
    assert c.power(x, y) == expected


def test_whole_numbers_stay_exact() -> None:
    assert c.mul(10**12, 10**12) == 10**24
    assert c.div(6, 3) == 2 and isinstance(c.div(6, 3), int) and c.div(2, 3) == 2 / 3
    assert c.power(2, 70) == 2**70 and c.power(2, -2) == 0.25 and c.power(-2, 3) == -8
    assert c.sqrt(49) == 7 and isinstance(c.sqrt(49), int) and c.sqrt(2) == math.sqrt(2)


def test_ends_of_the_range() -> None:
    assert c.exp(-math.inf) == 0 and c.exp(1e9) == math.inf and c.log(0) == -math.inf and c.log(math.inf) == math.inf
    assert c.tanh(50) == 1 and c.erf(-9) == -1 and c.sin(0) == 0 and c.cos(0) == 1
    assert c.power(0, 3.5) == 0 and c.power(5.5, 0) == 1 and c.power(-8.0, 3.0) == -512


@pytest.mark.parametrize(
    "text",
    [lambda: c.log(-1), lambda: c.sqrt(-1), lambda: c.div(1, 0), lambda: c.power(-8, 0.5), lambda: c.power(0, -1)],
)
def test_what_has_no_value(text: Callable[[], float]) -> None:
    with pytest.raises(c.Undefined):
        text()


@settings(deadline=None)
@given(floats | st.floats(width=32, allow_nan=False) | st.floats(-1e-37, 1e-37))
def test_rounding_to_float32(x: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        assert c.f32_bits(x) == int(np.float32(x).view(np.uint32))


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([Fraction(1, 2), Fraction(1, 3), Fraction(2, 3)]))
def test_rounding_between_neighbours(bits: int, part: Fraction) -> None:
    """Whole numbers are rounded from their exact value, not by way of binary64."""
    low, high = (Fraction(struct.unpack("<f", struct.pack("<I", b))[0]) for b in finite_pair(bits))
    point = low + (high - low) * part
    if point.denominator == 1:
        even = finite_pair(bits)[0] + (finite_pair(bits)[0] & 1)
        expected = {Fraction(1, 2): even, Fraction(1, 3): finite_pair(bits)[0], Fraction(2, 3): finite_pair(bits)[1]}
        assert c.f32_bits(int(point)) == expected[part]


def finite_pair(bits: int) -> tuple[int, int]:
    bits = min(bits, 0x7F7FFFFE)
    return bits, bits + 1


def test_large_whole_numbers_are_rounded_once() -> None:
    """2^60 + 2^36 + 1 lies just above a tie that binary64 cannot tell from the tie."""
    x = 2**60 + 2**36 + 1
    assert c.f32_bits(x) == c.f32_bits(2**60) + 1 and c.f32_bits(float(x)) == c.f32_bits(2**60)


def test_special_values() -> None:
    assert c.f32_bits(math.nan) == 0x7FC00000 and c.f32_bits(-math.inf) == 0xFF800000
    assert c.f32_bits(-0.0) == 0x80000000 and c.f32_bits(1e-46) == 0 and c.f32_bits(3.5e38) == 0x7F800000
