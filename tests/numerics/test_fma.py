"""fma32 against exact rational arithmetic: one rounding, everywhere."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.backends.reference.rounding import BLOCK, fma32, possible_tie
from tests.numerics.samples import F32, canonical, floats, special_values, words

LARGEST = Fraction(2) ** 128 - Fraction(2) ** 104
OVERFLOW = Fraction(2) ** 128 - Fraction(2) ** 103


def rounded(value: Fraction) -> float:
    """The binary32 number nearest to a rational, ties to even, as a float; infinity past the range."""
    if value == 0:
        return 0.0
    magnitude = abs(value)
    if magnitude >= OVERFLOW:
        return float("inf") if value > 0 else float("-inf")
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent -= magnitude < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    return math.copysign(float(round(magnitude / unit) * unit), value)


def expected(a: float, b: float, c: float) -> float:
    """a * b + c: exact where all are finite, else as float64 has it (no rounding is involved there)."""
    with np.errstate(all="ignore"):
        plain = float(np.float64(a) * np.float64(b) + np.float64(c))
    if not np.isfinite([a, b, c]).all():
        return plain
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return rounded(exact) if exact else plain


def check(a: F32, b: F32, c: F32) -> None:
    wanted = np.array([expected(*map(float, row)) for row in zip(a, b, c, strict=True)], np.float32)
    got = fma32(a, b, c)
    assert got.dtype == np.float32
    wrong = np.flatnonzero(canonical(got) != canonical(wanted))
    assert not wrong.size, [[float(v[i]).hex() for v in (a, b, c, got, wanted)] for i in wrong[:5]]


def double_rounding_cases() -> tuple[F32, F32, F32]:
    """Products half-way between two float32 numbers, pushed off by an addend that float64 cannot hold beside them."""
    ones = words(3000, 1)
    a = floats(0x3F800000 | (ones & 0x7FF) << 12 | 0x800)  # 12-bit odd fractions: a product below 2 ends in 2^-24
    b = floats(0x3F800000 | (ones >> 12 & 0x7FF) << 12 | 0x800)
    c = floats((ones >> 31 << 31) | ((127 - 55 - (ones >> 23 & 15)) << 23) | (ones & 0x7FFFFF))
    return a, b, c


def test_rounded_is_the_nearest_float32() -> None:
    assert rounded(Fraction(1) + Fraction(1, 2**24)) == 1.0
    assert rounded(Fraction(1) + Fraction(3, 2**24)) == 1.0 + 2.0**-22
    assert rounded(Fraction(1, 2**150)) == 0.0
    assert rounded(Fraction(3, 2**150)) == 2.0**-148
    assert rounded(LARGEST) == float(np.finfo(np.float32).max)


def test_constructed_double_roundings() -> None:
    a, b, c = double_rounding_cases()
    check(a, b, c)
    naive = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (naive != fma32(a, b, c)).sum() > 300  # the cases do tell one rounding from two


def test_constructed_double_roundings_below_the_normal_range() -> None:
    a, b, c = double_rounding_cases()
    for shift in (-126, -130, -137, -140, -148, -149):
        scaled = a.astype(np.float64) * 2.0**-64
        check(
            scaled.astype(np.float32), (b * 2.0 ** (shift + 64)).astype(np.float32), (c * 2.0**-60).astype(np.float32)
        )


def test_ties_against_a_tiny_addend_of_either_sign() -> None:
    tiny = np.array([2.0**-149, -(2.0**-149), 0.0, -0.0, 2.0**-60, -(2.0**-60)], np.float32)
    for a, b in ((4097.0, 4097.0), (4097.0, -4097.0), (8191.0, 2731.0), (16777213.0, 1.5)):  # 25-bit odd products
        check(np.full(6, a, np.float32), np.full(6, b, np.float32), tiny)


def test_around_the_least_normal_number() -> None:
    near = floats(np.arange(0x007FFFF0, 0x00800010))
    for small in (2.0**-149, -(2.0**-149), 2.0**-126, -(2.0**-126)):
        check(near, np.full(near.size, 1 - 2.0**-24, np.float32), np.full(near.size, small, np.float32))
        check(near, np.full(near.size, 0.5, np.float32), np.full(near.size, small, np.float32))


def test_special_values_in_every_combination() -> None:
    values = special_values()
    a, b, c = (part.ravel() for part in np.meshgrid(values, values, values))
    some = words(40_000, 2) % a.size
    check(a[some], b[some], c[some])


def test_random_patterns() -> None:
    a, b, c = (floats(words(20_000, seed)) for seed in (3, 4, 5))
    check(a, b, c)
    with np.errstate(all="ignore"):
        near = (a.astype(np.float64) * b * -(1 + 2.0**-20)).clip(-3e38, 3e38)
        check(a, b, near.astype(np.float32))


@given(*[st.floats(width=32) for _ in range(3)])
def test_any_three_numbers(a: float, b: float, c: float) -> None:
    check(*(np.array([value], np.float32) for value in (a, b, c)))


def test_long_broadcast_arrays_equal_their_pieces() -> None:
    a = floats(words(3 * BLOCK, 6)).reshape(3, BLOCK)
    row, scalar = a[:1], np.array(-0.5, np.float32)
    whole = fma32(a, row, scalar)
    pieces = [fma32(a[i, j::7], row[0, j::7], scalar) for i in range(3) for j in range(7)]
    merged = np.empty_like(a)
    for index, piece in enumerate(pieces):
        merged[index // 7, index % 7 :: 7] = piece
    assert (canonical(whole) == canonical(merged)).all()


def test_a_tie_is_seen_where_it_is() -> None:
    sums = np.array([1 + 2.0**-24, 1 + 2.0**-25, 1.0, 2.0**-127, 0.0, np.inf, np.nan])
    assert possible_tie(sums).tolist() == [True, False, False, True, False, False, False]


@pytest.mark.slow
def test_many_random_patterns() -> None:
    for seed in range(10, 40):
        a, b, c = (floats(words(50_000, 3 * seed + k)) for k in range(3))
        check(a, b, c)
