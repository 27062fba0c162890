"""Digests: domains, text form, Merkle roots."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.canonical import CanonicalError
from jobspec.ir.digest import Digest, blob_digest, digest, digest_value, merkle_root

LEAVES = st.lists(st.binary(max_size=8), max_size=20)


def test_a_domain_is_the_documented_derivation_context() -> None:
    expected = blake3(b"abc", derive_key_context="jobspec 2026 step v1").hexdigest()
    assert digest("step", b"abc").hex == expected
    assert digest("step", b"abc") != digest("job", b"abc")
    assert digest("step", b"abc") != blob_digest(b"abc")


def test_published_vectors() -> None:
    """BLAKE3's own test vectors for the empty input: a blob's name is the plain hash."""
    assert blob_digest(b"").hex == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


@pytest.mark.parametrize("domain", ["", "Job", "a b", "9a", "job\n", "a/b"])
def test_a_domain_is_a_plain_word(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        digest(domain, b"")


def test_values_are_digested_by_their_canonical_bytes() -> None:
    assert digest_value("x", {"b": 1, "a": 2}) == digest_value("x", {"a": 2, "b": 1})
    with pytest.raises(CanonicalError):
        digest_value("x", 0.5)  # type: ignore[arg-type]


@given(st.binary(min_size=32, max_size=32))
def test_text_form_round_trip(raw: bytes) -> None:
    assert Digest.parse(str(Digest(raw))) == Digest(raw)


ZEROS = "0" * 64


@pytest.mark.parametrize(
    "text", ["", "b3:", "b3:" + ZEROS[1:], "b3:" + "A" * 64, ZEROS, f" b3:{ZEROS}", f"b3:{ZEROS}\n"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 lowercase hex"):
        Digest.parse(text)


def test_a_digest_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Digest(b"short")


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_threads_do_not_change_a_blobs_name(size: int) -> None:
    data = bytes(range(251)) * (size // 251) + bytes(size % 251)
    assert blob_digest(data).raw == blake3(data).digest() == blob_digest(memoryview(data)).raw


def test_the_tree_is_adjacent_and_balanced_with_the_odd_tail_carried_up() -> None:
    def leaf(data: bytes) -> bytes:
        return digest("t.leaf", data).raw

    def node(left: bytes, right: bytes) -> bytes:
        return digest("t.node", left + right).raw

    a, b, c, d, e = (leaf(bytes([n])) for n in range(5))
    expected = node(node(node(a, b), node(c, d)), e)
    assert merkle_root("t", [bytes([n]) for n in range(5)]).raw == expected
    assert merkle_root("t", [b"\0"]).raw == a


@given(LEAVES, LEAVES)
def test_a_root_fixes_its_leaves(first: list[bytes], second: list[bytes]) -> None:
    assert (merkle_root("t", first) == merkle_root("t", second)) == (first == second)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    a, b = digest("t.leaf", b"a").raw, digest("t.leaf", b"b").raw
    assert merkle_root("t", [b"a", b"b"]) != merkle_root("t", [a + b])
