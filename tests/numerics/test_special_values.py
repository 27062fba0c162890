"""Where there is nothing to approximate: zeros, infinities, NaN, the ends of the range."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import LIBRARY
from tests.numerics.samples import canonical, floats, special_values, stratified, words

B = NumpyScalars()
INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)

CASES = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (88.72283, 3.4027985e38), (88.72284, INF), (LARGEST, INF),
            (-103.97207, 2.0**-149), (-103.97208, 2.0**-149), (-103.972084, 0.0), (-LARGEST, 0.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-INF, NAN), (-1.0, NAN), (-(2.0**-149), NAN),
            (2.0**-149, -103.278929903)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (LARGEST, 1.0), (2.0**-149, 2.0**-149)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (LARGEST, 1.0), (2.0**-149, 2.0**-149)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (2.0**-149, 2.0**-149)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (2.0**-149, 1.0)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-1.0, NAN), (4.0, 0.5)],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_special_values(name: str) -> None:
    arguments, wanted = (np.array(column, np.float32) for column in zip(*CASES[name], strict=True))
    got = LIBRARY[name](B, arguments)
    assert canonical(got).tolist() == canonical(wanted).tolist(), [(a, g) for a, g in zip(arguments, got, strict=True)]


@pytest.mark.parametrize("name", CASES)
def test_every_nan_gives_nan(name: str) -> None:
    payloads = np.concatenate([words(2000) & 0x7FFFFF | 1, np.array([1, 0x400000], np.uint32)])
    nans = floats(np.concatenate([payloads | 0x7F800000, payloads | 0xFF800000]))
    assert np.isnan(LIBRARY[name](B, nans)).all()


@pytest.mark.parametrize("name", ["tanh", "erf", "sin"])
def test_odd_to_the_last_bit(name: str) -> None:
    x = stratified(64)
    assert (canonical(-LIBRARY[name](B, x)) == canonical(LIBRARY[name](B, -x))).all()


def test_cos_is_even_to_the_last_bit() -> None:
    x = stratified(64)
    assert (canonical(LIBRARY["cos"](B, x)) == canonical(LIBRARY["cos"](B, -x))).all()


@pytest.mark.parametrize("name", ["tanh", "erf", "exp"])
def test_monotone_around_the_crossovers(name: str) -> None:
    """No step down where two formulas meet."""
    for place in (0.921875, 1.0, 3.9375, 9.125):
        bits = np.float32(place).view(np.uint32) + np.arange(-5000, 5000)
        assert (np.diff(LIBRARY[name](B, floats(bits))) >= 0).all()


@pytest.mark.parametrize("name", CASES)
def test_no_bit_depends_on_the_company(name: str) -> None:
    """A value alone, strided or in a block gives the same bits."""
    x = special_values()
    whole = canonical(LIBRARY[name](B, x))
    alone = [int(canonical(np.atleast_1d(LIBRARY[name](B, x[i : i + 1])))[0]) for i in range(x.size)]
    assert whole.tolist() == alone
    assert whole[::3].tolist() == canonical(LIBRARY[name](B, x[::3])).tolist()
