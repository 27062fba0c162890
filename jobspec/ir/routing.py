"""Where tokens stand once they are sorted by expert: the layout of `route`'s table.

Takes: how many tokens, how many experts, how many slots a block has. Promises: tokens of one expert stand in ascending
order in whole blocks of their own; the last slots of an expert's last block, and the last blocks, may be empty. All
sizes follow from the three numbers.

    owners  [blocks]  the expert of each block, -1 for one without tokens
    tokens  [slots]   the token in each slot, 0 in an empty one
    slots   [count]   the slot of each token
    firsts  [size]    the first slot of each expert
    counts  [size]    how many tokens each expert has
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

PARTS = ("owners", "tokens", "slots", "firsts", "counts")


@dataclass(frozen=True)
class Routing:
    """`count` tokens, `size` experts, `block` slots to a block."""

    count: int
    size: int
    block: int

    @property
    def blocks(self) -> int:
        """As many as are ever needed."""
        return (self.count + min(self.size, self.count) * (self.block - 1)) // self.block

    @property
    def places(self) -> int:
        """Slots of all blocks."""
        return self.blocks * self.block

    @property
    def ends(self) -> tuple[int, ...]:
        """Where each part of the table ends, in the order above."""
        return tuple(accumulate((self.blocks, self.places, self.count, self.size, self.size)))

    @property
    def length(self) -> int:
        """Entries of the table."""
        return self.ends[-1]

    def part(self, name: str) -> tuple[int, int]:
        """First entry and last + 1 of a part."""
        number = PARTS.index(name)
        return ((0, *self.ends)[number], self.ends[number])
