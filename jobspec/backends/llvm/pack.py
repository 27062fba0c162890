"""Packing: a panel of b copied so that each step of k is a few whole vectors in a row.

Takes: where the panel's first column begins, how b walks along k and n. Promises: step k of the panel
lies at `target` + k * 64 * vectors bytes, aligned; lanes past the last column are 0. It is a copy:
no element is computed. Where k runs innermost in memory, blocks of 16 × 16 are turned in registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int, int_of
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.tile import BYTES, VECTOR, WIDTH, load_lanes
from jobspec.backends.llvm.values import Value, prefix_mask, vector, zero
from jobspec.backends.llvm.walks import Axes, pieces, times

#: steps that a turned block may write past the end of the panel
SLACK = WIDTH


@dataclass(frozen=True)
class Panel:
    """The columns to pack: `vectors` of them, the last with `last` lanes; `apart`: bytes between columns; `along`: the
    axes of k."""

    source: Value
    apart: int
    along: Axes
    vectors: int
    last: int

    @property
    def step(self) -> int:
        """Bytes of one packed step."""
        return BYTES * self.vectors

    def lanes(self, number: int) -> int:
        return self.last if number == self.vectors - 1 else WIDTH


def pack(f: Function, panel: Panel, target: Value, k0: Int, k1: Int) -> None:
    """Steps k0 … k1-1 of the panel to `target` (where step 0 would lie)."""
    *outer, (size, stride) = panel.along

    def piece(offset: Int, first: Int, last: Int, start: Int) -> None:
        source = f.offset(panel.source, offset)
        here = f.offset(target, times(f, start, panel.step))
        if stride == 4 and panel.apart != 4:
            _turn(f, panel, source, here, first, last)
        else:
            _copy(f, panel, source, here, stride, first, last)

    pieces(f, outer, size, k0, k1, piece)


def _copy(f: Function, panel: Panel, source: Value, target: Value, stride: int, first: Int, last: Int) -> None:
    def step(k: Value) -> None:
        row, place = f.offset(source, f.imul(k, stride)), f.offset(target, f.imul(k, panel.step))
        for v in range(panel.vectors):
            columns = f.offset(row, v * WIDTH * panel.apart)
            f.store(_lanes(f, columns, panel.apart, panel.lanes(v)), f.offset(place, v * BYTES), BYTES)

    f.loop(first, last, 1, step)


def _lanes(f: Function, pointer: Value, apart: int, lanes: int) -> Value:
    """`lanes` elements `apart` bytes from each other, then zeros."""
    if apart == 4:
        return load_lanes(f, pointer, lanes)
    offsets = Value(vector("i64", WIDTH), "<" + ", ".join(f"i64 {i * apart}" for i in range(WIDTH)) + ">")
    return f.gather(VECTOR, f.spread_pointer(pointer, offsets), prefix_mask(lanes, WIDTH))


def _turn(f: Function, panel: Panel, source: Value, target: Value, first: Int, last: Int) -> None:
    """k runs innermost: 16 columns × 16 steps at a time, the rest of the steps under a mask."""
    full = panel.vectors if panel.last == WIDTH else panel.vectors - 1

    def strip(columns: Value, place: Value, lanes: int) -> None:
        def block(k: Value) -> None:
            _turn_block(f, panel, f.offset(columns, f.imul(k, 4)), f.offset(place, f.imul(k, panel.step)), lanes, WIDTH)

        def rest(k: Value) -> None:
            left = last - int(k.text) if isinstance(last, int) and not k.text.startswith("%") else f.isub(last, k)
            _turn_block(f, panel, f.offset(columns, f.imul(k, 4)), f.offset(place, f.imul(k, panel.step)), lanes, left)

        whole = _last_whole(f, first, last)
        f.loop(first, whole, WIDTH, block)
        f.loop(whole, last, WIDTH, rest)

    def full_strip(v: Value) -> None:
        strip(f.offset(source, f.imul(v, WIDTH * panel.apart)), f.offset(target, f.imul(v, BYTES)), WIDTH)

    f.loop(0, full, 1, full_strip)
    if full < panel.vectors:
        strip(f.offset(source, full * WIDTH * panel.apart), f.offset(target, full * BYTES), panel.last)


def _last_whole(f: Function, first: Int, last: Int) -> Int:
    """The end of the whole blocks of 16 steps from `first` on."""
    if isinstance(first, int) and isinstance(last, int):
        return last - (last - first) % WIDTH
    return f.isub(last, f.and_(f.isub(last, first), int_of(WIDTH - 1)))


def _turn_block(f: Function, panel: Panel, source: Value, target: Value, lanes: int, steps: Int) -> None:
    """`lanes` columns × `steps` steps; 16 steps are written."""
    mask = None if steps == WIDTH else f.mask_below(steps, WIDTH)
    columns = []
    for lane in range(lanes):
        pointer = f.offset(source, lane * panel.apart)
        columns.append(f.load(VECTOR, pointer) if mask is None else f.masked_load(VECTOR, pointer, mask))
    columns += [zero(VECTOR)] * (WIDTH - lanes)
    for k, row in enumerate(turned(f, columns)):
        f.store(row, f.offset(target, k * panel.step), BYTES)


def turned(f: Function, rows: list[Value]) -> list[Value]:
    """16 vectors of 16 as their transpose: pairs, quadruples, then 128-bit parts change places, 64 shuffles."""
    for apart, low, high in _STAGES:
        after = list(rows)
        for i in range(WIDTH):
            if not i & apart:
                a, b = rows[i], rows[i | apart]
                after[i], after[i | apart] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        rows = after
    return rows


def _exchange(apart: int) -> tuple[int, list[int], list[int]]:
    """Lanes i and i + apart of two rows that are `apart` from each other change places."""
    low = [i if not i & apart else WIDTH + i - apart for i in range(WIDTH)]
    high = [i + apart if not i & apart else WIDTH + i for i in range(WIDTH)]
    return apart, low, high


_STAGES = [_exchange(apart) for apart in (1, 2, 4, 8)]
