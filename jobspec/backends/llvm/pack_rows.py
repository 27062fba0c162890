"""Packing rows of a: tile by tile, the rows of a tile side by side at each step of k.

Takes: how to find the rows of a tile, which lie side by side in memory, and how they walk along k. Promises: step k
of tile t lies at `target` + t * rows_bytes + (k - first step) * 4 * rows bytes. It is a copy: no element is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.tile import WIDTH
from jobspec.backends.llvm.tiling import Tiling
from jobspec.backends.llvm.values import Value, prefix_mask, vector
from jobspec.backends.llvm.walks import Along, least, pieces, times

#: steps that are packed for all tiles before the next: two tiles share a cache line, which then is still near
NEAR = 64

#: tile, emit(pointer to its first row at step 0, its rows)
Tile = Callable[[Value, Callable[[Value, int], None]], None]


@dataclass(frozen=True)
class Slab:
    """`count` tiles."""

    tile: Tile
    count: Int
    along: Along
    tiling: Tiling


def pack_rows(f: Function, slab: Slab, target: Value, k0: Int, k1: Int) -> None:
    """Steps k0 … k1-1 of all tiles."""
    pitch = 4 * slab.tiling.rows.size
    zero = f.offset(target, times(f, k0, -pitch))

    def piece(offset: Int, first: Int, last: Int, start: Int) -> None:
        here = f.offset(zero, times(f, start, pitch))

        def part(k: Value) -> None:
            end = least(f, f.iadd(k, NEAR), last)

            def one(number: Value) -> None:
                place = f.offset(here, f.imul(number, slab.tiling.rows_bytes))
                slab.tile(number, lambda rows, count: _copy(f, slab, f.offset(rows, offset), place, k, end, count))

            f.loop(0, slab.count, 1, one)

        f.loop(first, last, NEAR, part)

    pieces(f, slab.along.outer, slab.along.period, k0, k1, piece)


def _copy(f: Function, slab: Slab, source: Value, target: Value, first: Int, last: Int, rows: int) -> None:
    """Steps first … last-1 of `rows` rows."""
    pitch = 4 * slab.tiling.rows.size

    def step(k: Value) -> None:
        _move(f, slab.along.walk.at(f, source, k), f.offset(target, f.imul(k, pitch)), rows)

    f.loop(first, last, 1, step)


def _move(f: Function, source: Value, target: Value, count: int) -> None:
    """`count` neighbouring elements."""
    lanes = WIDTH if count > WIDTH // 2 else WIDTH // 2
    type_ = vector("float", lanes)
    if count == lanes:
        f.store(f.load(type_, source), target)
    else:
        mask = prefix_mask(count, lanes)
        f.masked_store(f.masked_load(type_, source, mask), target, mask)
