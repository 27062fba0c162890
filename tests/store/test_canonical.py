"""Canonical bytes: round trips, and refusal of every other spelling."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.canonical import CanonicalError, Limits, Value, decode, encode

INTEGERS = st.integers(-(1 << 64), (1 << 64) - 1)
PLAIN = st.one_of(INTEGERS, st.binary(max_size=300), st.text(max_size=40), st.booleans(), st.none())
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=30), inner, max_size=8),
    max_leaves=40,
)


@given(VALUES)
def test_round_trip(value: Value) -> None:
    assert decode(encode(value)) == value


@given(VALUES, st.data())
def test_what_decodes_encodes_back_to_the_same_bytes(value: Value, data: st.DataObject) -> None:
    raw = bytearray(encode(value))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    check_only_canonical(bytes(raw))


@given(st.binary(max_size=60))
def test_any_bytes_are_canonical_or_refused(raw: bytes) -> None:
    check_only_canonical(raw)


def check_only_canonical(raw: bytes) -> None:
    try:
        value = decode(raw)
    except CanonicalError as error:
        assert 0 <= error.position <= len(raw)
    else:
        assert encode(value) == raw


@given(VALUES)
def test_every_proper_prefix_and_every_extension_is_refused(value: Value) -> None:
    raw = encode(value)
    for end in range(len(raw)):
        with pytest.raises(CanonicalError):
            decode(raw[:end])
    with pytest.raises(CanonicalError, match="bytes after the end"):
        decode(raw + b"\0")


@given(VALUES)
def test_an_independent_decoder_reads_the_same_value(value: Value) -> None:
    assert cbor2.loads(encode(value)) == value


def test_known_bytes() -> None:
    """Heads of RFC 8949, appendix A, and the key order of §4.2.1."""
    assert encode(0).hex() == "00"
    assert encode(24).hex() == "1818"
    assert encode(1000000).hex() == "1a000f4240"
    assert encode((1 << 64) - 1).hex() == "1bffffffffffffffff"
    assert encode(-(1 << 64)).hex() == "3bffffffffffffffff"
    assert encode([1, [2, 3]]).hex() == "8201820203"
    assert encode((1, [2, 3])) == encode([1, (2, 3)])
    assert encode({"b": 1, "aa": 2, "": None, "a": b"\1"}).hex() == "a460f661614101616201626161" + "02"


@given(st.dictionaries(st.text(max_size=400), st.none(), max_size=12))
def test_keys_stand_in_the_order_of_their_encoded_bytes(value: dict[str, None]) -> None:
    found = decode(encode(value))
    assert isinstance(found, dict)
    keys = list(found)
    assert keys == sorted(keys, key=encode)


@pytest.mark.parametrize(
    ("raw", "reason", "position"),
    [
        ("1817", "shortest", 0),  # 23 in two bytes
        ("8119001f", "shortest", 1),  # 31 in three bytes
        ("1a0000ffff", "shortest", 0),
        ("1b00000000ffffffff", "shortest", 0),
        ("580161", "shortest", 0),  # a length that fits the initial byte
        ("9f01ff", "indefinite", 0),
        ("5f4101ff", "indefinite", 0),
        ("bf616101ff", "indefinite", 0),
        ("1c", "reserved", 0),
        ("c101", "a tag", 0),
        ("c249010000000000000000", "a tag", 0),  # a bignum
        ("f93c00", "float", 0),
        ("fb3ff0000000000000", "float", 0),
        ("f7", "float or simple", 0),  # undefined
        ("f8ff", "float or simple", 0),
        ("a2616201616101", "out of order", 4),
        ("a2616101616102", "repeated", 4),
        ("a2626161016162" + "02", "out of order", 5),
        ("a10102", "not text", 1),
        ("a1410102", "not text", 1),
        ("61ff", "UTF-8", 0),
        ("63eda080", "UTF-8", 0),  # a surrogate
        ("", "ends before", 0),
        ("82", "ends before", 1),
        ("9bffffffffffffffff", "more items", 0),
        ("9a000fffff", "ends before", 5),
        ("5bffffffffffffffff", "ends before", 0),
        ("0000", "bytes after", 1),
    ],
)
def test_refused_with_its_place(raw: str, reason: str, position: int) -> None:
    with pytest.raises(CanonicalError, match=reason) as caught:
        decode(bytes.fromhex(raw))
    assert caught.value.position == position


@pytest.mark.parametrize(
    "value",
    [
        *(1.0, 1 << 64, -(1 << 64) - 1, "\ud800", {1, 2}, bytearray(b"x"), [[1.5]]),
        *({1: 2}, {b"a": 1}, {"\ud800": 1}, {"a": 1.5}),
    ],
)
def test_values_without_a_canonical_form(value: Value) -> None:
    with pytest.raises(CanonicalError):
        encode(value)


def test_a_subclass_is_not_taken_for_its_base() -> None:
    class Loud(str):
        pass

    with pytest.raises(CanonicalError):
        encode(Loud("x"))
    with pytest.raises(CanonicalError):
        encode({Loud("x"): 1})


def test_nesting_is_bounded_both_ways() -> None:
    deep: Value = []
    for _ in range(31):
        deep = [deep]
    assert decode(encode(deep)) == deep
    with pytest.raises(CanonicalError, match="deep"):
        encode([deep])
    with pytest.raises(CanonicalError, match="deep"):
        encode({"a": deep})
    with pytest.raises(CanonicalError, match="deep"):
        decode(b"\x81" * 32 + b"\x80")
    with pytest.raises(CanonicalError, match="deep"):
        decode(b"\x81" * 100_000 + b"\x80")
    endless: list[Value] = []
    endless.append(endless)
    with pytest.raises(CanonicalError, match="deep"):
        encode(endless)


def test_size_and_items_are_bounded() -> None:
    with pytest.raises(CanonicalError, match="more than the 4 bytes"):
        decode(encode(b"1234"), Limits(size=4))
    assert decode(encode([1, 2]), Limits(items=3)) == [1, 2]
    with pytest.raises(CanonicalError, match="more items"):
        decode(encode([1, 2, 3]), Limits(items=3))
    with pytest.raises(CanonicalError, match="more items"):
        decode(encode({"a": 1, "b": 2}), Limits(items=4))
