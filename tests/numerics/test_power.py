"""pow: accuracy over a sample that reaches every regime, and C99's table of special cases."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY
from tests.numerics.bounds import POW_ULPS
from tests.numerics.oracle import true_value, ulps
from tests.numerics.samples import F32, canonical, floats, special_values, words

B = NumpyScalars()
BLOCK = 1 << 14


def unit(count: int, seed: int) -> np.ndarray:
    return words(count, seed) * 2.0**-32


@np.errstate(all="ignore")
def reaching(x: F32, seed: int) -> tuple[F32, F32]:
    """`x` with exponents that spread x^y over the whole range of binary32."""
    target = unit(x.size, seed) * 193 - 104
    return x, (target / np.log(x.astype(np.float64))).astype(np.float32)


def sample(count: int, seed: int) -> list[tuple[F32, F32]]:
    """Bases anywhere, about 1, nearer and nearer to 1; integer exponents; negative bases; subnormal bases; anything."""
    bits = words(count, seed)
    near = (1 + (unit(count, seed + 1) - 0.5) * np.ldexp(1.0, -(bits % 24).astype(int))).astype(np.float32)
    about = floats(0x3F000000 + bits % 0x01000000)
    whole = (words(count, seed + 2) % 401).astype(np.float32) - np.float32(200)
    return [
        reaching(floats(bits & 0x7FFFFFFF), seed + 3),
        reaching(about, seed + 4),
        reaching(near, seed + 5),
        (about, whole),
        (-about, whole),
        reaching(floats(bits & 0x7FFFFF), seed + 6),
        (floats(bits), floats(words(count, seed + 7))),
    ]


def worst(x: F32, y: F32) -> float:
    return float(ulps(LIBRARY["pow"](B, x, y), true_value("pow", x, y)).max())


def test_error_over_the_sample() -> None:
    assert max(worst(x, y) for x, y in sample(BLOCK, 0)) <= POW_ULPS


@pytest.mark.slow
def test_error_over_a_long_sample() -> None:
    """About 10^8 pairs."""
    assert max(worst(x, y) for seed in range(900) for x, y in sample(BLOCK, 8 * seed)) <= POW_ULPS


def test_known_worst_cases() -> None:
    x = floats(np.array([0x0EF462B7, 0x3FA6C33D, 0x00000001, 0x3F7FFFFF]))
    y = np.array([float.fromhex("0x1.4da034p+0"), 100.0, 0.5, 1e9], np.float32)
    assert worst(x, y) <= POW_ULPS


@np.errstate(all="ignore")
def test_special_cases_are_those_of_c() -> None:
    """Every pair of special values, against the C library's double pow where that is exact or an end of the range."""
    extra = np.array([-3.0, -2.0, -0.5, 0.5, 2.0, 3.0, 16777215.0, -16777215.0, 16777216.0], np.float32)
    values = np.concatenate([special_values(), extra])
    x, y = (part.ravel() for part in np.meshgrid(values, values))
    got, truth = LIBRARY["pow"](B, x, y), true_value("pow", x, y)
    nearest = truth.astype(np.float32)
    plain = ~np.isfinite(nearest) | (nearest == 0) | (np.abs(nearest) == 1)
    plain &= ~((truth != 0) & (np.abs(truth) < 2.0**-149))  # those are a matter of accuracy
    wrong = np.flatnonzero(plain & (canonical(got) != canonical(nearest)))
    assert not wrong.size, [(x[i], y[i], got[i], truth[i]) for i in wrong[:5]]
    assert ulps(got, truth).max() <= POW_ULPS


def test_powers_that_are_exact() -> None:
    x = np.array([2.0, 2.0, 4.0, 9.0, 0.25, 10.0, -2.0, -2.0, 1.5], np.float32)
    y = np.array([10.0, -149.0, 0.5, 0.5, -0.5, 3.0, 3.0, 2.0, 2.0], np.float32)
    wanted = np.array([1024.0, 2.0**-149, 2.0, 3.0, 2.0, 1000.0, -8.0, 4.0, 2.25], np.float32)
    assert LIBRARY["pow"](B, x, y).tolist() == wanted.tolist()


def test_the_decay_of_a_moment() -> None:
    """beta^t of Adam, for a thousand steps: within the bound of the float64 value of the float32 beta."""
    t = np.arange(1, 1001, dtype=np.float32)
    for beta in (0.9, 0.95, 0.99, 0.999):
        assert worst(np.full(t.size, beta, np.float32), t) <= POW_ULPS
