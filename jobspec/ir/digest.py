"""Digests: BLAKE3, each kind of thing in a domain of its own.

Takes: bytes or canonical values. Promises: `digest(domain, …)` is BLAKE3 in its key-derivation mode
with the context `jobspec 2026 DOMAIN v1`, so no digest of one domain can pass for another's, and
`b3sum --derive-key "jobspec 2026 DOMAIN v1"` gives the same. A blob is named by the plain BLAKE3 of
its bytes (`b3sum FILE`). A Merkle tree is the adjacent balanced binary tree, an odd tail carried up,
with leaves and nodes in different domains: its root fixes the leaves, their order and their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from blake3 import blake3

from jobspec.ir.canonical import Value, encode

#: from this size on, hashing pays for threads (the digest is the same)
THREADS_FROM = 1 << 20
PREFIX = "b3:"
TEXT_FORM = re.compile(r"b3:([0-9a-f]{64})")
DOMAIN = re.compile(r"[a-z][a-z0-9.-]*")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """32 bytes of BLAKE3. `str` gives the text form, `b3:` and 64 hex digits."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != blake3.digest_size:
            raise ValueError(f"a digest has {blake3.digest_size} bytes, not {len(self.raw)}")

    @staticmethod
    def parse(text: str) -> Digest:
        """The digest whose text form is `text`. Raises ValueError for any other spelling."""
        match = TEXT_FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"`{text}` is not `b3:` and 64 lowercase hex digits")
        return Digest(bytes.fromhex(match[1]))

    @property
    def hex(self) -> str:
        """The 64 hex digits alone: a blob's file name."""
        return self.raw.hex()

    @property
    def short(self) -> str:
        """`b3:` and the first 12 hex digits, for people."""
        return PREFIX + self.hex[:12]

    def __str__(self) -> str:
        return PREFIX + self.hex


def digest(domain: str, payload: bytes) -> Digest:
    """BLAKE3 of `payload` in `domain` (lowercase letters, digits, dots, dashes)."""
    return Digest(_keyed(domain).copy().update(payload).digest())


@cache
def _keyed(domain: str) -> blake3:
    """A hasher of the domain that has seen nothing yet."""
    return blake3(derive_key_context=context(domain))


def digest_value(domain: str, value: Value) -> Digest:
    """`digest` of the canonical bytes of `value`. Raises CanonicalError where it has none."""
    return digest(domain, encode(value))


def context(domain: str) -> str:
    """The key-derivation context of `domain`."""
    if DOMAIN.fullmatch(domain) is None:
        raise ValueError(f"`{domain}` is not a digest domain")
    return f"jobspec 2026 {domain} v1"


def blob_digest(data: bytes | memoryview) -> Digest:
    """The name of a blob: the plain BLAKE3 of its bytes (`data` is C-contiguous)."""
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    threads = blake3.AUTO if size >= THREADS_FROM else 1
    return Digest(blake3(data, max_threads=threads).digest())


def merkle_root(domain: str, leaves: Iterable[bytes]) -> Digest:
    """Root over the leaves in order. No leaves: the digest of nothing in the domain `DOMAIN.empty`."""
    level = [digest(f"{domain}.leaf", leaf).raw for leaf in leaves]
    if not level:
        return digest(f"{domain}.empty", b"")
    while len(level) > 1:
        level = _fold(f"{domain}.node", level)
    return Digest(level[0])


def _fold(domain: str, level: list[bytes]) -> list[bytes]:
    """Neighbours in pairs; an odd last one goes up as it is."""
    pairs = zip(level[::2], level[1::2], strict=False)
    tail = level[len(level) & ~1 :]
    return [digest(domain, left + right).raw for left, right in pairs] + tail
