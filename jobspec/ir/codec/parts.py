"""A hash made of named parts, so that two hashes that differ can say where.

Takes: (name, canonical value) in a fixed order. Promises: the hash depends on every name, every part and
their order; each part has a digest of its own, which `jobspec hash --explain` prints.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest, digest_value

Parts = list[tuple[str, Digest]]


def part_digests(domain: str, parts: Iterable[tuple[str, Value]]) -> Parts:
    """Each part's digest, in the domain `DOMAIN.part`; the name is hashed with it."""
    return [(name, digest_value(f"{domain}.part", [name, value])) for name, value in parts]


def root_of(domain: str, parts: Parts) -> Digest:
    """The hash over the parts."""
    return digest_value(domain, [[name, part.raw] for name, part in parts])
