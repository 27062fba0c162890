"""Receipts as bytes: one form, small, every change seen."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.canonical import encode
from jobspec.ir.codec.receipt import SETS, SIZE, Receipt, ReceiptFormatError, decode_receipt, encode_receipt
from jobspec.ir.digest import Digest, digest

RECEIPT = Receipt(
    job=digest("test", b"job"),
    profile="jobspec.f32.v1",
    data=(digest("test", b"data"),),
    start=digest("test", b"start"),
    end=digest("test", b"end"),
    steps=2000,
    chain=digest("test", b"chain"),
    closed=True,
)

digests = st.binary(min_size=32, max_size=32).map(Digest)
receipts = st.builds(
    Receipt,
    job=digests,
    profile=st.text(max_size=40),
    data=st.lists(digests, min_size=1, max_size=SETS).map(tuple),
    start=digests,
    end=digests,
    steps=st.integers(0, 2**63 - 1),
    chain=digests,
    closed=st.booleans(),
)


@given(receipts)
def test_receipts_read_back(receipt: Receipt) -> None:
    data = encode_receipt(receipt)
    assert decode_receipt(data) == receipt
    assert len(data) <= SIZE


@given(receipts, st.data())
def test_every_changed_bit_is_seen(receipt: Receipt, data: st.DataObject) -> None:
    good = bytearray(encode_receipt(receipt))
    good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(ReceiptFormatError):
        assert decode_receipt(bytes(good)) != receipt


def test_the_digits_receipt_is_small() -> None:
    assert len(encode_receipt(RECEIPT)) < 300


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(ReceiptFormatError):
        decode_receipt(data)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"more": 1}, "unknown key `more`"),
        ({"version": 2}, "`version`"),
        ({"job": b"short"}, "`job` is not a digest"),
        ({"data": []}, "`data` has not 1 to 16 roots"),
        ({"data": [bytes(32)] * 17}, "`data` has not 1 to 16 roots"),
        ({"data": [1]}, "`data` 0 is not a digest"),
        ({"steps": True}, "`steps` is not an integer"),
        ({"steps": -1}, "`steps` is not an integer"),
        ({"closed": 1}, "`closed` is neither true nor false"),
        ({"profile": 7}, "`profile` is not text"),
    ],
)
def test_the_wrong_field_is_named(changes: dict[str, Any], reason: str) -> None:
    value: dict[str, Any] = {
        "version": 1,
        "job": bytes(32),
        "profile": "p",
        "data": [bytes(32)],
        "start": bytes(32),
        "end": bytes(32),
        "steps": 1,
        "chain": bytes(32),
        "closed": True,
    }
    assert decode_receipt(encode(value)).steps == 1
    with pytest.raises(ReceiptFormatError, match=reason):
        decode_receipt(encode({**value, **changes}))


def test_too_long_is_refused() -> None:
    with pytest.raises(ReceiptFormatError, match="more than the 1,024 bytes"):
        decode_receipt(bytes(SIZE + 1))


def test_equal_receipts_have_equal_bytes() -> None:
    assert encode_receipt(RECEIPT) == encode_receipt(replace(RECEIPT))
