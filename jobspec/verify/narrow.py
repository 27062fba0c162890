"""The first place where two commitments part, found with few questions.

Takes: two sides that each answer with prefix digests. Promises: since a prefix digest binds everything before it, the
first differing item is found in about log(count)/log(WIDTH+1) rounds of WIDTH digests each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobspec.ir.digest import Digest

#: digests that a side shows at once
WIDTH = 15

#: how a side answers: its prefix digests after so many items each
Links = Callable[[Sequence[int]], Sequence[Digest]]


@dataclass
class Rounds:
    """How often both sides were asked something."""

    asked: int = 0

    def first_difference(self, count: int, one: Links, other: Links) -> int | None:
        """The first of `count` items in which the sides differ; None where their last prefix digests agree."""
        low, high = 0, count
        if self._same([count], one, other)[0]:
            return None
        while high - low > 1:
            places = between(low, high)
            agreed = self._same(places, one, other)
            low = max([low, *(p for p, same in zip(places, agreed, strict=True) if same)])
            high = min([high, *(p for p, same in zip(places, agreed, strict=True) if not same)])
        return low

    def _same(self, places: Sequence[int], one: Links, other: Links) -> list[bool]:
        self.asked += 1
        return [a == b for a, b in zip(one(places), other(places), strict=True)]


def between(low: int, high: int) -> list[int]:
    """At most WIDTH places strictly between, evenly spread."""
    steps = min(WIDTH + 1, high - low)
    return sorted({low + (high - low) * i // steps for i in range(1, steps)})
