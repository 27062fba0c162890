"""Rounding to bfloat16 and binary16: at every number of the format, at the middles between, and one f32 beside."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY
from jobspec.lang.constants import FUNCTIONS
from tests.numerics.samples import F32, canonical, special_values

B = NumpyScalars()
ALL = np.arange(1 << 16, dtype=np.uint32)


def of_the_format(name: str) -> F32:
    """All 2^16 values of the format, as f32."""
    if name == "bf16":
        return (ALL << np.uint32(16)).view(np.float32)
    return ALL.astype(np.uint16).view(np.float16).astype(np.float32)


def rounded(name: str, x: F32) -> F32:
    with np.errstate(all="ignore"):
        result: F32 = LIBRARY[name](B, x)
    return result


def around(name: str) -> F32:
    """Every finite value, the middle between it and the next one, and the f32 numbers beside these; both signs."""
    values = of_the_format(name)
    positive = np.sort(values[np.isfinite(values) & ~np.signbit(values)])
    ends = {"bf16": np.float32(np.inf), "f16": np.float32(65536)}
    above = np.append(positive[1:], ends[name])
    with np.errstate(over="ignore"):
        middle = np.where(np.isinf(above), np.float32(3.3961776e38), (positive + (above - positive) / 2))
    middle = middle.astype(np.float32)
    near = [positive, middle, np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(np.inf))]
    near += [np.nextafter(positive, np.float32(0)), np.nextafter(positive, np.float32(np.inf))]
    points = np.concatenate(near)
    return np.concatenate([points, -points, special_values()])


def nearest(name: str, x: F32) -> F32:
    """The nearest value of the format, found by looking at both neighbours in exact arithmetic."""
    if name == "f16":
        with np.errstate(over="ignore"):
            return x.astype(np.float16).astype(np.float32)
    bits = x.view(np.uint32).astype(np.uint64)
    low = bits >> np.uint64(16)
    rest = bits & np.uint64(0xFFFF)
    up = (rest > 0x8000) | ((rest == 0x8000) & (low % np.uint64(2) == 1))
    return ((low + up) << np.uint64(16)).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_what_is_of_the_format_stays(name: str) -> None:
    x = of_the_format(name)
    assert (canonical(rounded(name, x)) == canonical(x)).all()


@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_every_neighbourhood(name: str) -> None:
    x = around(name)
    numbers = x[~np.isnan(x)]
    assert numbers.size > 6 * 30000
    assert (rounded(name, numbers).view(np.uint32) == nearest(name, numbers).view(np.uint32)).all()


@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_nan_is_canonical_at_once(name: str) -> None:
    nans = np.array([0x7F800001, 0xFFC00000, 0xFFFFFFFF, 0x7FC01234], np.uint32).view(np.float32)
    assert (rounded(name, nans).view(np.uint32) == 0x7FC00000).all()


def test_the_ends_of_the_formats() -> None:
    x = np.array([65504, 65519.996, 65520, -65520, 2.0**-24, 2.0**-25, 2.0**-25 * 1.0000001, -(2.0**-26)], np.float32)
    inf = np.inf
    want = np.array([65504, 65504, inf, -inf, 2.0**-24, 0, 2.0**-24, -0.0], np.float32)
    assert rounded("f16", x).view(np.uint32).tolist() == want.view(np.uint32).tolist()


@pytest.mark.parametrize("name", ["bf16", "f16"])
def test_compile_time_numbers_round_alike(name: str) -> None:
    x = around(name)[::97]
    x = x[np.isfinite(x)]
    found = np.array([FUNCTIONS[name](float(v)) for v in x], np.float32)
    assert (found.view(np.uint32) == rounded(name, x).view(np.uint32)).all()


def test_a_binary64_number_is_rounded_once() -> None:
    """By way of f32 this one would be a tie, and go down."""
    assert FUNCTIONS["bf16"](1 + 2.0**-8 + 2.0**-40) == 1 + 2.0**-7


def test_modulo_of_whole_numbers() -> None:
    rng = np.random.default_rng(3)
    edges = np.array([0, 1, -1, 2, 3, 7, 2**31 - 1, -(2**31), 2**24 + 1, 2**30, -(2**30) - 1, 46341], np.int32)
    wide = rng.integers(-(2**31), 2**31, 60000).astype(np.int32)
    small = (wide[::-1] >> rng.integers(0, 32, wide.size).astype(np.int32)).astype(np.int32)
    x = np.concatenate([np.repeat(edges, edges.size), wide, small])
    y = np.concatenate([np.tile(edges, edges.size), small, wide])
    with np.errstate(all="ignore"):
        found = LIBRARY["mod"](B, x, y)
        want = np.where(y == 0, 0, np.mod(x.astype(np.int64), np.where(y == 0, 1, y)))
    assert found.tolist() == want.tolist()
