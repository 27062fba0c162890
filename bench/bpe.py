"""GPT-2's tokens of an English text: byte pairs merged by rank, as openai/gpt-2's encoder.py does.

Takes: `encoder.json` and `vocab.bpe` of that repository, a text of ASCII letters. Promises: the same numbers; each
distinct word is merged once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

#: words as GPT-2 cuts them, where all letters are ASCII
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


@dataclass(frozen=True)
class Vocabulary:
    """`numbers`: token → number; `ranks`: pair → the earlier the sooner merged."""

    numbers: Mapping[str, int]
    ranks: Mapping[tuple[str, str], int]

    @classmethod
    def read(cls, numbers: Path, merges: Path) -> Vocabulary:
        lines = merges.read_text("utf-8").splitlines()[1:]
        pairs = (tuple(line.split()) for line in lines if line)
        return cls(json.loads(numbers.read_text("utf-8")), {(a, b): i for i, (a, b) in enumerate(pairs)})

    def encode(self, text: str) -> list[int]:
        words = WORDS.findall(text)
        known = {word: self.word(word) for word in dict.fromkeys(words)}
        return [number for word in words for number in known[word]]

    def word(self, word: str) -> list[int]:
        parts = [shown(byte) for byte in word.encode("utf-8")]
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            parts = merged(parts, best)
        return [self.numbers[part] for part in parts]


def merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """Every occurrence of `pair` as one part, from the left."""
    found: list[str] = []
    for part in parts:
        if found and (found[-1], part) == pair:
            found[-1] += part
        else:
            found.append(part)
    return found


def shown(byte: int) -> str:
    """The letter that stands for a byte in the vocabulary: itself where it can be printed, else one from 256 on."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return chr(byte) if byte in printed else chr(256 + [b for b in range(256) if b not in printed].index(byte))
