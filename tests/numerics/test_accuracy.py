"""Every library function of one argument is within 1 ulp of the truth, and within its own measured figure."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY
from tests.numerics.bounds import MEASURED_ULPS
from tests.numerics.oracle import true_value, ulps
from tests.numerics.samples import F32, floats, stratified

B = NumpyScalars()
BLOCK = 1 << 15
ONE_ULP = ("exp", "log", "tanh", "erf", "sin", "cos")
MP = {"exp": mp.exp, "log": mp.log, "tanh": mp.tanh, "erf": mp.erf, "sin": mp.sin, "cos": mp.cos}


def worst(name: str, arguments: F32) -> float:
    """The largest error over the arguments, in blocks that stay in cache."""
    errors = [0.0]
    for start in range(0, arguments.size, BLOCK):
        x = arguments[start : start + BLOCK]
        errors.append(ulps(LIBRARY[name](B, x), true_value(name, x)).max())
    return float(max(errors))


def test_the_contract_asks_for_one_ulp() -> None:
    assert all(MEASURED_ULPS[name] <= 1 for name in ONE_ULP)


@pytest.mark.parametrize("name", MEASURED_ULPS)
def test_a_sample_of_every_binade(name: str) -> None:
    assert worst(name, stratified()) <= MEASURED_ULPS[name]


@pytest.mark.parametrize("name", MEASURED_ULPS)
def test_densely_where_the_method_changes(name: str) -> None:
    """The 4,096 neighbours of each threshold: crossovers, saturation, rounding of n, overflow, underflow."""
    places = np.array(
        [0.34657359, 0.70710678, 0.921875, 1.0, 1.0397208, 1.4142135, 3.9375, 9.125, 88.72284, 0.78539816, 2.3561945,
         262144.0, 2.0**-126, 2.0**-12], np.float32)  # fmt: skip
    places = np.concatenate([places, -places, np.array([-87.33655, -103.97208], np.float32)])
    near = places.view(np.uint32)[:, None] + np.arange(-2048, 2048, dtype=np.int64)
    assert worst(name, floats(near.ravel())) <= MEASURED_ULPS[name]


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles_nearest_to_multiples_of_half_pi(name: str) -> None:
    """For each exponent, the mantissas whose angle lies closest to a multiple of pi/2, by continued fractions."""
    assert worst(name, hardest_angles()) <= MEASURED_ULPS[name]


def hardest_angles() -> F32:
    """Best and near-best multiples k m 2^e ~ n pi/2 with a 24-bit m."""
    found = [m * 2.0**e for e in range(-23, 105) for m in close_mantissas(e)]
    return np.array(found, np.float32)


def close_mantissas(e: int) -> list[int]:
    """m < 2^24 such that m 2^e / (pi/2) is close to an integer: denominators of the convergents, and multiples."""
    with mp.workdps(80):
        rest = mp.mpf(2) ** e * 2 / mp.pi % 1
        previous, current = 0, 1
        result = []
        while current < 2**24 and rest > mp.mpf(10) ** -40:
            rest = 1 / rest
            previous, current = current, int(rest) * current + previous
            rest %= 1
            result += [k * current for k in range(1, 9) if k * current < 2**24]
    return result


def test_the_oracle_itself() -> None:
    """numpy's float64 functions against mpmath, at the places that decide."""
    x = np.concatenate([stratified(4), hardest_angles()[::50]])
    x = x[np.isfinite(x) & (np.abs(x) > 1e-30) & (np.abs(x) < 1e30)]
    for name in ONE_ULP:
        some = x[(x > 0) | (name != "log")]
        some = some[np.abs(some) < 80] if name == "exp" else some
        truth = true_value(name, some)
        with mp.workdps(60):
            exact = [MP[name](mp.mpf(float(value))) for value in some]
        error = [
            abs(float((t - mp.mpf(float(g))) / t)) if t else abs(float(g)) for t, g in zip(exact, truth, strict=True)
        ]
        assert max(error) < 2.0**-48, name


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED_ULPS)
def test_all_inputs(name: str) -> None:
    """All 2^32 patterns, 1 to 15 minutes a function on a busy core; the figure is exactly the one stated."""
    error = max(worst(name, floats(np.arange(high << 22, (high + 1) << 22, dtype=np.uint64))) for high in range(1024))
    assert MEASURED_ULPS[name] - 1e-4 < error <= MEASURED_ULPS[name]
