"""How a run went on in time: after how many seconds so many steps were done.

Takes: steps as they are done. Promises: at most MOST entries however long a run is, evenly spread over the times they
were taken at; nothing that a result depends on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MOST = 256


@dataclass
class Splits:
    """`taken`: (steps done, seconds since the process took the run up). Every `every`-th is kept."""

    begun: float = field(default_factory=time.monotonic)
    every: int = 1
    count: int = 0
    taken: list[tuple[int, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """So far."""
        return time.monotonic() - self.begun

    def at(self, step: int) -> None:
        """`step` steps are done now."""
        if self.count % self.every == 0:
            self.taken.append((step, round(self.seconds, 3)))
        self.count += 1
        if len(self.taken) > MOST:
            self.taken, self.every = self.taken[::2], 2 * self.every
