"""What happens among workers, counted for people.

Takes: what the scheduler tells. Promises: one short line, and nothing that a result depends on.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.amounts import in_bytes


@dataclass
class Tally:
    """`workers`: at work now; `done`: tasks; `redone`: attempts at tasks that were given up and made again elsewhere;
    `checked`: answers that were computed a second time elsewhere; `moved`: bytes that workers and head took."""

    workers: int = 0
    done: int = 0
    redone: int = 0
    checked: int = 0
    moved: int = 0

    def __str__(self) -> str:
        """`4 workers  3 redone  12 checked  1.3 GB moved`; nothing before a worker is there."""
        if not self.done:
            return ""
        counted = [f"{self.redone:,} redone"] if self.redone else []
        counted += [f"{self.checked:,} checked"] if self.checked else []
        plural = "" if self.workers == 1 else "s"
        return "  ".join([f"{self.workers} worker{plural}", *counted, f"{in_bytes(self.moved)} moved"])
