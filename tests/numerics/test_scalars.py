"""The primitives of the numpy evaluator, each against its words in docs/numerics.md, clause 2."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from tests.numerics.samples import F32, canonical, floats, special_values, words

B = NumpyScalars()


def f(*values: float) -> F32:
    return np.array(values, np.float32)


def bits(values: np.ndarray) -> list[int]:
    return [int(pattern) for pattern in np.atleast_1d(values).view(np.uint32)]


def test_constants_are_exact_or_refused() -> None:
    assert bits(B.f32(math.nan)) == [0x7FC00000]
    assert bits(B.f32(-0.0)) == [0x80000000]
    with pytest.raises(ValueError, match="not a binary32"):
        B.f32(0.1)


def test_max_and_min_give_the_second_operand_on_zeros_and_nan() -> None:
    assert bits(B.max(f(0.0, -0.0, math.nan, 1.0), f(-0.0, 0.0, 1.0, math.nan))) == [
        0x80000000, 0, 0x3F800000, 0x7FC00000,
    ]  # fmt: skip
    assert bits(B.min(f(0.0, -0.0, math.nan, 1.0), f(-0.0, 0.0, 1.0, math.nan))) == [
        0x80000000, 0, 0x3F800000, 0x7FC00000,
    ]  # fmt: skip
    assert bits(B.max(f(2.0, -1.0), f(1.0, 3.0))) == bits(f(2.0, 3.0))
    assert bits(B.min(f(2.0, -1.0), f(1.0, 3.0))) == bits(f(1.0, -1.0))


def test_neg_and_abs_touch_the_sign_bit_alone() -> None:
    values = special_values()
    assert (B.neg(values).view(np.uint32) == values.view(np.uint32) ^ 0x80000000).all()
    assert (B.abs(values).view(np.uint32) == values.view(np.uint32) & 0x7FFFFFFF).all()


def test_comparisons_with_nan_and_zeros() -> None:
    a, b = f(math.nan, 0.0, 1.0), f(math.nan, -0.0, 2.0)
    assert B.eq(a, b).tolist() == [False, True, False]
    assert B.ne(a, b).tolist() == [True, False, True]
    assert B.lt(a, b).tolist() == [False, False, True]
    assert B.le(a, b).tolist() == [False, True, True]


def test_conversion_to_integers_saturates() -> None:
    values = f(math.nan, math.inf, -math.inf, 3e9, -3e9, 2147483520.0, -2147483648.0, 1.9, -1.9, -0.0)
    assert B.f32_to_i32(values).tolist() == [
        0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31), 2147483520, -(2**31), 1, -1, 0,
    ]  # fmt: skip


def test_conversion_from_integers_rounds_to_even() -> None:
    assert B.i32_to_f32(np.array([16777217, 16777219, -16777217], np.int32)).tolist() == [16777216, 16777220, -16777216]
    assert B.u32_to_f32(np.array([2**32 - 1, 2**31], np.uint32)).tolist() == [2.0**32, 2.0**31]


def test_shifts_mask_their_amount_and_know_signs() -> None:
    u, i = np.array([0x80000001], np.uint32), np.array([-8], np.int32)
    assert B.shr(u, B.u32(33)).tolist() == [0x40000000]
    assert B.shl(u, B.u32(33)).tolist() == [2]
    assert B.shr(i, B.i32(1)).tolist() == [-4]
    assert B.shl(i, B.i32(-31)).tolist() == [-16]


def test_integers_wrap_without_a_warning() -> None:
    big, i = B.u32(0xFFFFFFFF), B.i32(2**31 - 1)
    assert B.iadd(big, B.u32(2)) == 1
    assert B.isub(B.u32(0), B.u32(1)) == 0xFFFFFFFF
    assert B.imul(big, big) == 1
    assert B.iadd(i, B.i32(1)) == -(2**31)


def test_mulhi_is_the_upper_half_of_the_product() -> None:
    a, b = words(1000, 1), words(1000, 2)
    wanted = [int(x) * int(y) >> 32 for x, y in zip(a, b, strict=True)]
    assert B.mulhi(a, b).tolist() == wanted


def test_subnormals_are_kept() -> None:
    tiny = f(2.0**-149, 2.0**-126)
    assert bits(B.add(tiny, tiny)) == [2, 0x01000000]
    assert bits(B.mul(tiny, f(1.0, 0.5))) == [1, 0x00400000]
    assert bits(B.sqrt(f(2.0**-148))) == bits(f(2.0**-74))


def test_division_and_root_are_correctly_rounded() -> None:
    a, b = floats(words(5000, 7) & 0x7FFFFFFF), floats(words(5000, 8))
    with np.errstate(all="ignore"):
        quotient = (a.astype(np.float64) / b).astype(np.float32)  # 53 >= 2 * 24 + 2: one rounding, above 2^-126
        normal = (np.abs(quotient) > 2.0**-125) | (quotient == 0)
        root = np.sqrt(a.astype(np.float64)).astype(np.float32)
    assert (canonical(B.div(a, b)) == canonical(quotient))[normal].all()
    assert (canonical(B.sqrt(a)) == canonical(root)).all()


def test_rint_and_floor() -> None:
    values = f(0.5, 1.5, 2.5, -0.5, -1.5, 8388609.0, -0.0)
    assert bits(B.rint(values)) == bits(f(0.0, 2.0, 2.0, -0.0, -2.0, 8388609.0, -0.0))
    assert bits(B.floor(values)) == bits(f(0.0, 1.0, 2.0, -1.0, -2.0, 8388609.0, -0.0))
