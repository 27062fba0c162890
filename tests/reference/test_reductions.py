"""Every reduction order, bit for bit against the slow oracle, at the borders of lanes, leaves and blocks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference import naive
from tests.reference.programs import apply, bits

SIZES = (1, 2, 5, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 513, 1025, 4095, 4096, 4097, 8200, 9000)


def sample(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Numbers of many sizes, so that any other order of summation gives other bits."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-4, 4, size=shape)
    return x.astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_row_sum(size: int) -> None:
    x = sample(2, size)
    assert bits(apply("sum", x, axes=(1,))) == bits([naive.row(line.tolist(), naive.add) for line in x])


@pytest.mark.parametrize("size", SIZES)
def test_row_maximum(size: int) -> None:
    x = sample(2, size)
    assert bits(apply("reduce_max", x, axes=(1,))) == bits([naive.row(line.tolist(), naive.larger) for line in x])


@pytest.mark.parametrize("size", SIZES)
def test_column_sum(size: int) -> None:
    x = sample(size, 3)
    assert bits(apply("sum", x, axes=(0,))) == bits([naive.column_sum(line.tolist()) for line in x.T])


@pytest.mark.parametrize("size", SIZES)
def test_column_maximum(size: int) -> None:
    x = sample(size, 3)
    assert bits(apply("reduce_max", x, axes=(0,))) == bits([naive.column_max(line.tolist()) for line in x.T])


def test_the_two_orders_differ() -> None:
    x = sample(1025)
    row, column = (apply("sum", x.reshape(shape), axes=(axis,)) for shape, axis in (((1, 1025), 1), ((1025, 1), 0)))
    assert bits(row) != bits(column)


def test_axes_that_are_the_last_ones_are_one_row() -> None:
    x = sample(3, 20, 30)
    assert bits(apply("sum", x, axes=(1, 2))) == bits([naive.row(part.reshape(-1).tolist(), naive.add) for part in x])
    assert bits(apply("sum", x, axes=(0, 1, 2))) == bits(naive.row(x.reshape(-1).tolist(), naive.add))


def test_other_axes_are_one_column_in_ascending_order() -> None:
    x = sample(9, 4, 40, 2)
    expected = [[naive.column_sum(x[:, b, :, d].reshape(-1).tolist()) for d in range(2)] for b in range(4)]
    assert bits(apply("sum", x, axes=(0, 2))) == bits(expected)
    largest = [[naive.column_max(x[:, b, :, d].reshape(-1).tolist()) for d in range(2)] for b in range(4)]
    assert bits(apply("reduce_max", x, axes=(0, 2))) == bits(largest)


def test_a_row_has_no_seed_and_a_column_starts_from_plus_zero() -> None:
    minus_zero = np.float32(-0.0)
    assert bits(apply("sum", np.full((2, 1), minus_zero), axes=(1,))) == [0x80000000] * 2
    assert bits(apply("sum", np.full((1, 2), minus_zero), axes=(0,))) == [0] * 2
    assert bits(apply("reduce_max", np.full((1, 2), minus_zero), axes=(0,))) == [0x80000000] * 2


def test_the_maximum_takes_the_second_where_none_is_greater() -> None:
    assert bits(apply("reduce_max", np.array([0.0, -0.0], np.float32), axes=(0,))) == [0x80000000]
    assert bits(apply("reduce_max", np.array([-0.0, 0.0], np.float32), axes=(0,))) == [0]
    # max(1, NaN) is NaN, max(NaN, 1) is 1: lanes 0 and 1 meet in that order
    assert np.isnan(apply("reduce_max", np.array([1, np.nan], np.float32), axes=(0,)))
    assert apply("reduce_max", np.array([np.nan, 1], np.float32), axes=(0,)) == 1


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([3, 1, 3], 0),
        ([1, 3, 3], 1),
        ([-0.0, 0.0], 0),
        ([np.nan, 5, 6], 0),
        ([5, np.nan, 6], 2),
        ([-np.inf, -np.inf], 0),
    ],
)
def test_argmax_is_the_scan_for_a_greater_element(values: list[float], place: int) -> None:
    best, at = values[0], 0
    for i, x in enumerate(values):
        if x > best:
            best, at = x, i
    found = apply("argmax", np.array(values, np.float32), axes=(0,))
    assert (int(found), found.dtype) == (place, np.int32)
    assert at == place


def test_argmax_counts_in_the_flattened_axes() -> None:
    x = sample(4, 3, 5)
    moved = x.transpose(1, 0, 2).reshape(3, -1)
    assert apply("argmax", x, axes=(0, 2)).tolist() == moved.argmax(1).tolist()
