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
from jobspec.backends.llvm.walks import Walk, times, total

SECOND_CACHE = 2


def next_rows(f: Function) -> Ahead:
    """The rows below the tile's, at the steps of the block: the next tile of this panel."""

    def fetch(rows: Rows, k: Value, _: Value) -> None:
        below = len(rows) * (rows.apart[1] - rows.apart[0]) if len(rows.apart) > 1 else 0
        if below:
            for row in rows.at(f, k):
                f.prefetch(f.offset(row, below))

    return fetch


def next_packed(f: Function, further: int) -> Ahead:
    """The steps of the block in the packed rows of the next tile, `further` bytes on."""

    def fetch(rows: Rows, k: Value, _: Value) -> None:
        here = f.offset(rows.at(f, k)[0], further)
        for line in range(-(-BLOCK * 4 * len(rows) // BYTES)):
            f.prefetch(f.offset(here, line * BYTES), locality=SECOND_CACHE)

    return fetch


def rows_further(f: Function, further: Int, along_k: bool) -> Ahead:
    """The tile's rows `further` bytes on, at the steps of the block: a line of each row where they run along k, else a
    line of each step."""

    def fetch(rows: Rows, k: Value, _: Value) -> None:
        if along_k:
            for row in rows.at(f, k):
                f.prefetch(f.offset(row, further), locality=SECOND_CACHE)
            return
        for i in range(BLOCK):
            f.prefetch(f.offset(rows.at(f, f.iadd(k, i))[0], further), locality=SECOND_CACHE)

    return fetch


@dataclass(frozen=True)
class Lines:
    """What is to be multiplied next: `rows` rows of `lines` lines from `base` on; `walk`: from row to row."""

    base: Value
    walk: Walk
    lines: int
    rows: int

    def during(self, f: Function, tile: Int, tiles: int, first: Int, steps: int) -> Ahead:
        """The part to fetch while tile number `tile` of `tiles` goes over `steps` steps that begin at `first`."""
        blocks = -(-steps // BLOCK)
        each = -(-self.rows * self.lines // (tiles * blocks))
        start = times(f, tile, blocks * each)

        def fetch(_: Rows, __: Value, k: Value) -> None:
            block = f.udiv(f.isub(k, first), BLOCK)
            for i in range(each):
                line = total(f, total(f, start, times(f, block, each)), i)
                step, place = f.udiv(line, self.lines), f.urem(line, self.lines)
                row = self.walk.at(f, self.base, step)
                f.prefetch(f.offset(row, f.imul(place, BYTES)), locality=SECOND_CACHE)

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

        def fetch(_: Rows, __: Value, k: Value) -> None:
            at = times(f, f.udiv(f.udiv(f.isub(k, first), BLOCK), every), each)
            for i in range(each):
                self._row(f, total(f, self.row, total(f, at, i)))

        return fetch

    def _row(self, f: Function, row: Int) -> None:
        for pointer, written in self.epilogue.lines(self.panel, row):
            for v in range(self.vectors):
                f.prefetch(f.offset(pointer, v * BYTES), write=written)
