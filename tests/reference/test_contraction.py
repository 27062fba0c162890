"""Contractions bit for bit against the slow oracle, and the axes they pair."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.reference import contraction
from tests.reference import naive
from tests.reference.programs import Array, apply, bits
from tests.reference.test_reductions import sample


def product(a: Array, b: Array) -> Array:
    """A plain matrix product by the op."""
    return apply("contract", a, b, a_over=(1,), b_over=(0,), a_batch=(), b_batch=())


@pytest.mark.parametrize("depth", [1, 2, 31, 255, 256, 257, 511, 512, 513, 769, 4095, 4096, 4097, 9000])
def test_a_matrix_product_is_chains_of_fma_in_leaves(depth: int) -> None:
    a, b = sample(2, depth), sample(depth, 3, seed=1)
    expected = [[naive.dot(row.tolist(), column.tolist()) for column in b.T] for row in a]
    assert bits(product(a, b)) == bits(expected)


def test_products_are_fused() -> None:
    a = np.array([[-(1 + 2.0**-11), 1 + 2.0**-12]], np.float32)
    b = np.array([[1], [1 + 2.0**-12]], np.float32)
    assert product(a, b).item() == 2.0**-24


def test_sums_near_a_tie_round_once() -> None:
    # 1 + 2^-24 + 2^-70: float64 drops the last term, and its tie would go down to 1
    a = np.array([[1, 2.0**-24, 2.0**-35]], np.float32)
    b = np.array([[2.0**-35], [1], [2.0**-35]], np.float32)
    assert bits(product(a, b)) == bits(naive.dot(a[0].tolist(), b[:, 0].tolist()))
    tie = np.array([[1 + 2.0**-23, 1]], np.float32), np.array([[2.0**-24], [1]], np.float32)
    assert bits(product(*tie)) == bits(naive.dot(tie[0][0].tolist(), tie[1][:, 0].tolist()))
    assert product(*tie).item() == 1 + 2.0**-23


def test_subnormal_results_round_once() -> None:
    rng = np.random.default_rng(3)
    a = (rng.normal(size=(4, 40)) * 2.0**-70).astype(np.float32)
    b = (rng.normal(size=(40, 4)) * 2.0**-75).astype(np.float32)
    expected = [[naive.dot(row.tolist(), column.tolist()) for column in b.T] for row in a]
    assert bits(product(a, b)) == bits(expected)
    assert np.count_nonzero(product(a, b)) > 8


def test_the_chain_starts_from_plus_zero() -> None:
    assert bits(product(np.array([[-0.0]], np.float32), np.ones((1, 1), np.float32))) == [0]


def test_overflow_and_nan() -> None:
    big = np.full((1, 2), 3e38, np.float32)
    assert product(big, np.ones((2, 1), np.float32)).item() == np.inf
    assert np.isnan(product(np.array([[np.inf, 1]], np.float32), np.array([[0], [1]], np.float32)))


def test_axes_are_summed_in_the_order_given() -> None:
    a, b = sample(6, 3, 90), sample(90, 6, 2, seed=1)
    flat_a = a.transpose(1, 2, 0).reshape(3, -1)
    flat_b = b.transpose(0, 1, 2).reshape(-1, 2)
    given = apply("contract", a, b, a_over=(2, 0), b_over=(0, 1), a_batch=(), b_batch=())
    assert bits(given) == bits([[naive.dot(x.tolist(), y.tolist()) for y in flat_b.T] for x in flat_a])
    other = apply("contract", a, b, a_over=(0, 2), b_over=(1, 0), a_batch=(), b_batch=())
    assert bits(given) != bits(other)


def test_batch_axes_stay_where_a_has_them() -> None:
    a, b = sample(2, 5, 3, 7), sample(3, 4, 2, 7, seed=1)
    found = apply("contract", a, b, a_over=(3,), b_over=(3,), a_batch=(2, 0), b_batch=(0, 2))
    assert found.shape == (2, 5, 3, 4)
    for i, m, j, n in np.ndindex(2, 5, 3, 4):
        assert bits(found[i, m, j, n]) == bits(naive.dot(a[i, m, j].tolist(), b[j, n, i].tolist()))


def test_no_summed_axis_is_an_outer_product() -> None:
    a, b = sample(3), sample(4, seed=1)
    found = apply("contract", a, b, a_over=(), b_over=(), a_batch=(), b_batch=())
    assert bits(found) == bits(np.multiply.outer(a, b))


def test_tiles_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sample(3, 37, 300), sample(3, 300, 11, seed=1)
    axes = {"a_over": (2,), "b_over": (1,), "a_batch": (0,), "b_batch": (0,)}
    whole = bits(apply("contract", a, b, **axes))
    for tile in (1, 5, 11, 64, 400):
        monkeypatch.setattr(contraction, "TILE", tile)
        assert bits(apply("contract", a, b, **axes)) == whole
