"""Breaks a line that is too long.

Takes: words, each with the blank before it. Promises: lines of at most LIMIT characters where the words allow it,
broken only where a newline does not end a statement: behind a comma, an operator or `=`, outside of as many brackets
as can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 120
CONTINUED = "    "

# Kinds of tokens that a line may end with, the best first.
BEST = (["COMMA"], ["EQUAL", "BECOMES", "TILDE", "ELSE", "OR", "AND"], ["COMPARE"], ["PLUS", "MINUS"], ["TIMES"])
RANK = {kind: rank for rank, kinds in enumerate(BEST) for kind in kinds}


@dataclass(frozen=True)
class Word:
    """`depth`: brackets open around it; `kind`: that of its token, or none where no line may end."""

    text: str
    space: str = ""
    depth: int = 0
    kind: str = ""


def joined(words: Sequence[Word]) -> str:
    return "".join((word.space if i else "") + word.text for i, word in enumerate(words))


def broken_lines(words: Sequence[Word], base: str, pad: str) -> list[str]:
    """Lines of the words: the first begins with `pad`, what goes on is indented behind `base`; [] for no words."""
    lines = []
    while words:
        cut = best_cut(words, pad, base + CONTINUED) if len(pad + joined(words)) > LIMIT else len(words)
        lines.append(pad + joined(words[:cut]))
        words, pad = words[cut:], base + CONTINUED
    return lines


def best_cut(words: Sequence[Word], pad: str, next_pad: str) -> int:
    """How many words stay on this line."""
    width = len(pad)
    cuts: list[int] = []
    for i, word in enumerate(words[:-1], 1):
        width += len(word.text) + (len(word.space) if i > 1 else 0)
        if width > LIMIT and cuts:
            break
        if word.kind in RANK:
            cuts.append(i)
    useful = [i for i in cuts if not lonely(words, i, next_pad)] or cuts
    return min(useful, key=lambda i: (words[i - 1].depth, RANK[words[i - 1].kind], -i), default=len(words))


def lonely(words: Sequence[Word], cut: int, next_pad: str) -> bool:
    """Whether a short `name =` would be left alone on its line, and the rest be broken all the same."""
    short = words[cut - 1].kind in ("EQUAL", "BECOMES", "TILDE") and len(joined(words[:cut])) < LIMIT // 3
    return short and len(next_pad + joined(words[cut:])) > LIMIT
