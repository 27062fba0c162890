"""Which segments of a run are looked at, drawn so that the prover cannot have known.

Takes: a receipt's bytes, 32 bytes of the verifier's own randomness, a count. Promises: every set of that many
segments is equally likely over the randomness; the same challenge for the same receipt draws the same ones, so
that a third party can look at what the verifier looked at.

    word i  := first 8 bytes, little end first, of digest "verify.challenge" of [receipt's bytes, randomness, i]
    draw    := Fisher-Yates over 0 … n-1; a word is taken modulo m only below the largest multiple of m
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from jobspec.ir.digest import digest_value

WORD = 1 << 64


def fresh() -> bytes:
    """32 bytes that nobody can foretell."""
    return secrets.token_bytes(32)


def draw(receipt: bytes, challenge: bytes, count: int, among: int) -> tuple[int, ...]:
    """`count` different numbers from 0 … among-1, in ascending order; all where there are no more."""
    numbers, stream = list(range(among)), words(receipt, challenge)
    for place in range(min(count, among)):
        other = place + below(stream, among - place)
        numbers[place], numbers[other] = numbers[other], numbers[place]
    return tuple(sorted(numbers[:count]))


def words(receipt: bytes, challenge: bytes) -> Iterator[int]:
    """64-bit words without end."""
    number = 0
    while True:
        yield int.from_bytes(digest_value("verify.challenge", [receipt, challenge, number]).raw[:8], "little")
        number += 1


def below(stream: Iterator[int], limit: int) -> int:
    """A number from 0 … limit-1, each as likely."""
    whole = WORD - WORD % limit
    return next(word for word in stream if word < whole) % limit
