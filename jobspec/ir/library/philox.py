"""Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).

Takes: a counter of four u32 and a key of two. Promises: the same four words as the authors' Random123 library
(its known-answer vectors are in the tests). Nothing is carried from draw to draw.
"""

from __future__ import annotations

from jobspec.ir.library.protocol import Scalars, V

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

Words = tuple[V, V, V, V]


def philox(b: Scalars[V], counter: Words[V], key: tuple[V, V]) -> Words[V]:
    """The four random words at `counter`, lowest word first."""
    for _ in range(ROUNDS - 1):
        counter = one_round(b, counter, key)
        key = (b.iadd(key[0], b.u32(WEYL[0])), b.iadd(key[1], b.u32(WEYL[1])))
    return one_round(b, counter, key)


def one_round(b: Scalars[V], counter: Words[V], key: tuple[V, V]) -> Words[V]:
    """One S-P round: two multiplications, the halves crossed and mixed with the key."""
    c0, c1, c2, c3 = counter
    first, second = (b.u32(multiplier) for multiplier in MULTIPLIERS)
    return (
        b.xor(b.xor(b.mulhi(c2, second), c1), key[0]),
        b.imul(c2, second),
        b.xor(b.xor(b.mulhi(c0, first), c3), key[1]),
        b.imul(c0, first),
    )
