"""Philox and the draws built on it: known answers, ranges, distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jobspec.backends.reference.scalars import NumpyScalars
from jobspec.ir.library import DRAWS
from jobspec.ir.library.draws import cosine_of_turns, radius
from jobspec.ir.library.philox import philox
from tests.numerics.samples import F32, words

B = NumpyScalars()

# Random123, kat_vectors: philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(counter: str, key: str, answer: str) -> None:
    c, k = ([B.u32(int(word, 16)) for word in text.split()] for text in (counter, key))
    got = philox(B, (c[0], c[1], c[2], c[3]), (k[0], k[1]))
    assert " ".join(f"{int(word):08x}" for word in got) == answer


def draw(name: str, count: int, key: int = 7) -> F32:
    index = np.arange(count, dtype=np.uint32)
    rest = [B.u32(value) for value in (0, 3, 0, key, 99)]
    drawn: F32 = DRAWS[name](B, index, *rest)
    return drawn


def test_a_draw_depends_on_its_own_counter_alone() -> None:
    whole = draw("normal", 1000)
    one = DRAWS["normal"](B, *[B.u32(value) for value in (513, 0, 3, 0, 7, 99)])
    assert whole[513] == one
    assert len(set(draw("random_bits", 4096).tolist())) > 4090


@pytest.mark.parametrize("word", range(6))
def test_every_counter_and_key_word_matters(word: int) -> None:
    base = [B.u32(value) for value in (1, 2, 3, 4, 5, 6)]
    other = [value ^ np.uint32(1 << 31) if i == word else value for i, value in enumerate(base)]
    assert DRAWS["random_bits"](B, *base) != DRAWS["random_bits"](B, *other)


def test_uniform_is_the_top_24_bits() -> None:
    bits, values = draw("random_bits", 5000), draw("uniform", 5000)
    assert values.tolist() == [(int(word) >> 8) * 2.0**-24 for word in bits]


def test_uniform_is_uniform() -> None:
    """Kolmogorov and Smirnov, 2^18 draws: the statistic is below its 0.1 % point."""
    values = np.sort(draw("uniform", 1 << 18).astype(np.float64))
    assert values[0] >= 0
    assert values[-1] < 1
    places = np.arange(values.size) / values.size
    assert np.abs(values - places).max() * math.sqrt(values.size) < 1.95


def test_normal_is_normal() -> None:
    """Kolmogorov and Smirnov against the normal distribution, and the first four moments."""
    values = np.sort(draw("normal", 1 << 18).astype(np.float64))
    law = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values.tolist()])
    assert np.abs(law - np.arange(values.size) / values.size).max() * math.sqrt(values.size) < 1.95
    wanted = [0, 1, 0, 3]
    spread = [1, math.sqrt(2), math.sqrt(15), math.sqrt(96)]
    for power, (mean, deviation) in enumerate(zip(wanted, spread, strict=True), start=1):
        assert abs((values**power).mean() - mean) < 4 * deviation / math.sqrt(values.size)


def test_normal_is_box_and_muller() -> None:
    index = np.arange(20_000, dtype=np.uint32)
    rest = [B.u32(value) for value in (0, 3, 0, 7, 99)]
    first, second, _, _ = philox(B, (index, rest[0], rest[1], rest[2]), (rest[3], rest[4]))
    u = ((first >> 8) + 1.0) * 2.0**-24
    turn = (second >> 8) * 2.0**-24
    wanted = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * turn)
    assert np.abs(DRAWS["normal"](B, index, *rest) - wanted).max() < 1e-6


def test_the_ends_of_normal() -> None:
    ends = np.array([0, 0xFF, 0x100, 0xFFFFFEFF, 0xFFFFFF00, 0xFFFFFFFF], np.uint32)
    lengths = radius(B, ends)
    assert lengths[0] == np.float32(math.sqrt(48 * math.log(2)))
    assert lengths[5] == 0
    assert np.isfinite(lengths).all()


def test_cosine_of_turns() -> None:
    """Exact at the quarters; elsewhere within an ulp of the cosine of the float64 angle, or 1e-8 near a zero."""
    quarters = np.array([0, 1 << 30, 2 << 30, 3 << 30], np.uint32)
    assert cosine_of_turns(B, quarters).tolist() == [1, 0, -1, 0]
    word = words(100_000, 5)
    wanted = np.cos((word >> 8) * (2 * np.pi * 2.0**-24))
    assert np.abs(cosine_of_turns(B, word) - wanted).max() < 2.0**-24
