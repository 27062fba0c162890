"""Numbers for people."""

from __future__ import annotations

import pytest

from jobspec.ir.amounts import amount, in_bytes


@pytest.mark.parametrize(
    ("n", "plain", "bytes"),
    [
        (0, "0", "0 B"),
        (62.5638, "62.6", "62.6 B"),
        (999, "999", "999 B"),
        (26_149, "26.1k", "26.1 kB"),
        (999_499, "999k", "999 kB"),
        (999_500, "1M", "1 MB"),
        (4.87e12, "4.87T", "4.87 TB"),
    ],
)
def test_three_digits(n: float, plain: str, bytes: str) -> None:
    assert (amount(n), in_bytes(n)) == (plain, bytes)
