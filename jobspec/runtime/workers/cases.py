"""Answers that are computed a second time: who said what, and who was wrong.

Takes: what workers and the head answered to one task. Promises: two that agree are believed, a third decides between
two that differ, and the head over all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobspec.ir.digest import Digest
from jobspec.runtime.workers.crew import Done

#: who computes on the head, where no other worker can decide
HEAD = "head"
#: number of a work, number of its task
Key = tuple[int, int]
#: digests of the parts, and the flags
Said = tuple[tuple[Digest, ...], tuple[str, ...]]


def said(answer: Done) -> Said:
    return tuple(parcel.digest for parcel in answer.parcels), answer.flags


@dataclass
class Case:
    """An answer that is computed again elsewhere. `sayings`: by worker."""

    key: Key
    sayings: dict[str, Said]
    refused: set[str] = field(default_factory=set)

    @property
    def settled(self) -> bool:
        """Two agree, and nobody said otherwise; or a third has."""
        return len(self.sayings) > 1 and len(set(self.sayings.values())) < len(self.sayings)

    @property
    def wrong(self) -> list[str]:
        """Who said what nobody else said, once it is settled."""
        said = list(self.sayings.values())
        return [name for name, mine in self.sayings.items() if said.count(mine) == 1]

    def judged(self) -> list[str] | None:
        """Who was wrong; None where it is open still."""
        if HEAD in self.sayings:
            return [name for name, mine in self.sayings.items() if mine != self.sayings[HEAD]]
        return self.wrong if self.settled else None
