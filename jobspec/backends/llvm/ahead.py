"""Fetching ahead: cache lines asked for a little at a time while a tile computes.

Takes: what the next tile or the next panel will read. Promises: only prefetches, a few for each block of
BLOCK steps, spread so that they never queue up; an address past the end of a buffer is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.epilogue import Epilogue
from jobspec.backends.llvm.scope import Scope
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


@dataclass(frozen=True)
class Results:
    """What the epilogue of a tile reads and writes: `rows` rows from `row` on, `vectors` right of `panel`'s column."""

    epilogue: Epilogue
    panel: Scope
    row: Int
    rows: int
    vectors: int

    def during(self, f: Function, steps: int, first: Int) -> Ahead:
        """All of it while the tile goes over `steps` steps that begin at `first`: a row at a time if there is time."""
        blocks = -(-steps // BLOCK)
        each, every = -(-self.rows // blocks), max(1, blocks // self.rows)

        def fetch(rows: Rows, k: Value) -> None:
            at = times(f, f.udiv(f.udiv(f.isub(k, first), BLOCK), every), each)
            for i in range(each):
                self._row(f, total(f, self.row, total(f, at, i)))

        return fetch

    def _row(self, f: Function, row: Int) -> None:
        for pointer, written in self.epilogue.lines(self.panel, row):
            for v in range(self.vectors):
                f.prefetch(f.offset(pointer, v * BYTES), write=written)
