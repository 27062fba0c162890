"""Sampling: bijections, straddled epochs, independence of how positions are asked for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.digest import digest
from jobspec.ir.job import Part, Stream
from jobspec.runtime.sampling import permuted, round_keys, shuffled, window_count
from tests.runtime.jobs import examples_at

KEY = bytes(range(32))
AROUND = sorted({2**k + d for k in range(1, 21) for d in (-1, 0, 1)})


def stream(order: str = "shuffle", key: bytes = KEY) -> Stream:
    return Stream((Part("train"),), order, 0, key)


@pytest.mark.parametrize("n", range(1, 301))
def test_every_epoch_is_a_bijection(n: int) -> None:
    got = examples_at(stream(), n, 0, 3 * n).reshape(3, n)
    for epoch in got:
        assert sorted(epoch) == list(range(n))


@pytest.mark.parametrize("n", AROUND)
def test_bijection_around_powers_of_two(n: int) -> None:
    seen = np.zeros(n, bool)
    seen[permuted(np.arange(n, dtype=np.int64), n, round_keys(KEY, 5))] = True
    assert seen.all()


@given(st.integers(1, 5000), st.integers(0, 20_000), st.integers(1, 400), st.binary(min_size=32, max_size=32))
def test_any_cut_of_positions_gives_the_same(n: int, first: int, count: int, key: bytes) -> None:
    whole = examples_at(stream(key=key), n, first, count)
    cut = count // 3
    parts = [examples_at(stream(key=key), n, first, cut), examples_at(stream(key=key), n, first + cut, count - cut)]
    assert (whole == np.concatenate(parts)).all()
    assert whole[-1] == examples_at(stream(key=key), n, first + count - 1, 1)[0]
    assert whole.min() >= 0 and whole.max() < n


def test_epochs_and_keys_differ() -> None:
    first, second = examples_at(stream(), 1000, 0, 2000).reshape(2, 1000)
    other = examples_at(stream(key=bytes(32)), 1000, 0, 1000)
    assert (first != second).mean() > 0.99
    assert (first != other).mean() > 0.99


def test_the_key_of_an_epoch_is_no_sum() -> None:
    """seed + epoch would make epoch 1 of one key epoch 0 of the next."""
    following = (int.from_bytes(KEY, "little") + 1).to_bytes(32, "little")
    assert not (examples_at(stream(), 500, 500, 500) == examples_at(stream(key=following), 500, 0, 500)).all()


def test_all_permutations_of_four_come_about_equally_often() -> None:
    counts = Counter(tuple(epoch) for epoch in examples_at(stream(), 4, 0, 4 * 4800).reshape(-1, 4))
    expected = 4800 / 24
    chi_square = sum((counts[p] - expected) ** 2 / expected for p in counts) + expected * (24 - len(counts))
    assert len(counts) == 24
    assert chi_square < 49.7  # 23 degrees of freedom, p = 0.001


def test_where_the_first_position_goes_is_uniform() -> None:
    n, epochs = 97, 97 * 60
    firsts = shuffled(KEY, n, np.arange(epochs, dtype=np.int64) * n)
    counts = np.bincount(firsts, minlength=n)
    assert ((counts - 60.0) ** 2 / 60).sum() < 146  # 96 degrees of freedom, p = 0.001


def test_neighbours_do_not_stay_neighbours() -> None:
    got = examples_at(stream(), 10_000, 0, 10_000)
    assert (np.abs(np.diff(got)) == 1).mean() < 0.002
    assert abs(np.corrcoef(got[:-1], got[1:])[0, 1]) < 0.04


def plainly(key: bytes, n: int, position: int) -> int:
    """The permutation in plain integers, from docs/receipts.md rather than from the code under test."""
    epoch, place = divmod(position, n)
    block = digest("sampling.epoch", key + epoch.to_bytes(8, "little")).raw
    keys = [int.from_bytes(block[4 * i : 4 * i + 4], "little") for i in range(8)]
    rows = next(a for a in range(1, n + 1) if a * a >= n)
    columns = next(b for b in range(1, n + 1) if rows * b >= n)
    while True:
        left, right = place % rows, place // rows
        for i in range(0, 8, 2):
            left = (left + (mixed(right ^ keys[i]) * rows >> 32)) % rows
            right = (right + (mixed(left ^ keys[i + 1]) * columns >> 32)) % columns
        place = right * rows + left
        if place < n:
            return place


def mixed(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return x ^ (x >> 16)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 97, 1437, 60_000])
def test_the_written_definition_gives_the_same(n: int) -> None:
    for first in (0, 7 * n - 3, 1000 * n + n // 2):
        got = examples_at(stream(), n, max(first, 0), 12)
        assert got.tolist() == [plainly(KEY, n, max(first, 0) + i) for i in range(12)]


def test_sequence_goes_round_in_order() -> None:
    assert examples_at(stream("sequence"), 3, 2, 5).tolist() == [2, 0, 1, 2, 0]


def test_large_streams() -> None:
    n = (1 << 61) + 7
    got = shuffled(KEY, n, np.arange(n - 100, n, dtype=np.int64))
    assert len(set(got.tolist())) == 100 and got.max() < n


def test_no_positions() -> None:
    assert len(examples_at(stream(), 10, 5, 0)) == 0


@pytest.mark.parametrize(("tokens", "count"), [(0, 0), (1, 0), (4, 0), (5, 1), (8, 1), (9, 2)])
def test_window_count(tokens: int, count: int) -> None:
    assert window_count(tokens, 4) == count
