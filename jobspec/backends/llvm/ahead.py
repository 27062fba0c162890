"""Fetching ahead: cache lines asked for a little at a time while a tile computes.

Takes: what the next tile or the next panel will read. Promises: only prefetches, a few for each block of
BLOCK steps, spread so that they never queue up; an address past the end of a buffer is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.tile import BLOCK, BYTES, Ahead, Rows
from jobspec.backends.llvm.values import Value
from jobspec.backends.llvm.walks import times, total

SECOND_CACHE = 2


def next_rows(f: Function) -> Ahead:
    """The rows below the tile's, at the steps of the block: the next tile of this panel."""

    def fetch(rows: Rows, k: Value) -> None:
        below = len(rows) * (rows.apart[1] - rows.apart[0]) if len(rows.apart) > 1 else 0
        if below:
            for row in rows.at(f, k):
                f.prefetch(f.offset(row, below))

    return fetch


@dataclass(frozen=True)
class NextPanel:
    """The panel to be packed next: its first element, bytes from step to step, vectors, steps."""

    base: Value
    pitch: int
    vectors: int
    steps: int

    def during(self, f: Function, tile: Int, tiles: int, first: Int) -> Ahead:
        """The part that is fetched while tile number `tile` of `tiles` computes, whose steps begin at `first`."""
        blocks = -(-self.steps // BLOCK)
        each = -(-self.steps * self.vectors // (tiles * blocks))
        start = times(f, tile, blocks * each)

        def fetch(rows: Rows, k: Value) -> None:
            block = f.udiv(f.isub(k, first), BLOCK)
            for i in range(each):
                line = total(f, total(f, start, times(f, block, each)), i)
                step, vector = f.udiv(line, self.vectors), f.urem(line, self.vectors)
                row = f.offset(self.base, f.imul(step, self.pitch))
                f.prefetch(f.offset(row, f.imul(vector, BYTES)), locality=SECOND_CACHE)

        return fetch
