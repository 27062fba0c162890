"""The loops of a kernel: split where an operand needs it, merged where all operands allow it.

Takes: loops over a group's domain and scalar insts whose operands walk them by digits. Promises: a
Kernel whose axes are as few as possible, ordered by role as ir/kernel.py says, every view plain
strides. Raises NeedsCopy with the operands that stand in the way: walks that split an axis at places
which do not nest, or that keep the row from being one axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.program import Node
from jobspec.passes.views import Digits

ORDER = ("batch", "rest", "outer", "kept", "m", "n", "row", "reduced", "k", "place")


class NeedsCopy(Exception):
    """`operands` must be copied into memory of their own before the kernel can be made."""

    def __init__(self, operands: tuple[Node, ...]) -> None:
        super().__init__(f"{len(operands)} operands stand in the way of one loop nest")
        self.operands = operands


@dataclass(frozen=True)
class Loop:
    """A domain axis; `role` as in ir.kernel.Axis."""

    size: int
    role: str


@dataclass(frozen=True)
class Walk:
    """A view before its axes are split: digits per loop. `source`: the operand it reads, None for a result."""

    target: Any
    offset: int
    digits: tuple[Digits, ...]
    source: Node | None


@dataclass(frozen=True)
class Proto:
    """An inst whose views are still walks."""

    inst: Inst

    def walks(self) -> list[Walk]:
        return [value for _, value in self.inst.attrs if isinstance(value, Walk)]


def arrange(name: str, kind: str, loops: list[Loop], body: list[Proto]) -> Kernel:
    """The kernel of `body` over `loops`."""
    walks = list(dict.fromkeys(w for proto in body for w in proto.walks()))
    cuts = [cut_axis(loop.size, i, walks) for i, loop in enumerate(loops)]
    axes = [Axis(size, loop.role) for loop, pieces in zip(loops, cuts, strict=True) for size, _ in pieces]
    table = {w: [s for d, pieces in zip(w.digits, cuts, strict=True) for s in strides_of(d, pieces)] for w in walks}
    by_role = sorted(range(len(axes)), key=lambda i: ORDER.index(axes[i].role))
    axes = [axes[i] for i in by_role]
    table = {w: [strides[i] for i in by_role] for w, strides in table.items()}
    axes = merge(axes, table)
    check_rows(kind, axes, table, body)
    axes = complete(kind, axes, table, any(proto.inst.op == "reduce" for proto in body))
    return Kernel(name, kind, tuple(axes), finish(body, table))


REQUIRED = {
    "contract": ("m", "n", "k"),
    "columns": ("kept", "reduced"),
    "scatter": ("rest", "place"),
    "route": ("place",),
}


def complete(kind: str, axes: list[Axis], table: dict[Walk, list[int]], folds: bool) -> list[Axis]:
    """Give the kernel every axis that its kind has, of size 1 where there was none; a map's last axis is its row. What
    `folds` rows of one element keeps them: its last axis is outside."""
    present = {axis.role for axis in axes}
    if kind == "rows" and "row" not in present and axes and not folds:
        return [*axes[:-1], Axis(axes[-1].size, "row")]
    for role in REQUIRED.get(kind, ("row",)):
        if role not in present:
            at = sum(ORDER.index(axis.role) < ORDER.index(role) for axis in axes)
            axes = [*axes[:at], Axis(1, role), *axes[at:]]
            for strides in table.values():
                strides.insert(at, 0)
    return axes


def cut_axis(size: int, axis: int, walks: list[Walk]) -> list[tuple[int, int]]:
    """(size, places per position) of the pieces of an axis, slowest first."""
    borders = {size} | {b for walk in walks for b in borders_of(walk.digits[axis])}
    ordered = sorted(borders)
    if any(high % low for low, high in pairwise(ordered)):
        raise NeedsCopy(split_sources(axis, walks))
    pieces, low = [], 1
    for high in ordered:
        if high > low:
            pieces.append((high // low, low))
            low = high
    return pieces[::-1]


def borders_of(digits: Digits) -> list[int]:
    """Products of the sizes of the digits behind each digit: where the walk changes its stride."""
    borders, low = [], 1
    for size, _ in reversed(digits):
        low *= size
        borders.append(low)
    return borders[:-1]


def split_sources(axis: int, walks: list[Walk]) -> tuple[Node, ...]:
    return tuple(w.source for w in walks if w.source is not None and len(w.digits[axis]) > 1)


def strides_of(digits: Digits, pieces: list[tuple[int, int]]) -> list[int]:
    """The stride of a walk along each piece of an axis."""
    spans, low = [], 1
    for size, stride in reversed(digits):
        spans.append((low, low * size, stride))
        low *= size
    return [next((s * (at // a) for a, b, s in spans if a <= at < b), 0) for _, at in pieces]


def merge(axes: list[Axis], table: dict[Walk, list[int]]) -> list[Axis]:
    """Join neighbouring axes of one role over which every walk goes on evenly. Changes `table`."""
    merged = axes[:1]
    kept = {w: strides[:1] for w, strides in table.items()}
    for i in range(1, len(axes)):
        even = all(kept[w][-1] == axes[i].size * strides[i] for w, strides in table.items())
        if even and axes[i].role == merged[-1].role:
            merged[-1] = Axis(merged[-1].size * axes[i].size, axes[i].role)
            for w, strides in table.items():
                kept[w][-1] = strides[i]
        else:
            merged.append(axes[i])
            for w, strides in table.items():
                kept[w].append(strides[i])
    table.update(kept)
    return merged


def check_rows(kind: str, axes: list[Axis], table: dict[Walk, list[int]], body: list[Proto]) -> None:
    """A row is one axis: the contract's lanes count along it."""
    rows = [i for i, axis in enumerate(axes) if axis.role == "row"]
    if kind != "rows" or len(rows) < 2 or not any(p.inst.op == "reduce" for p in body):
        return
    uneven = [w for w, s in table.items() if any(s[i] != axes[j].size * s[j] for i, j in pairwise(rows))]
    raise NeedsCopy(tuple(w.source for w in uneven if w.source is not None))


def finish(body: list[Proto], table: dict[Walk, list[int]]) -> tuple[Inst, ...]:
    """Insts with plain views; positions of the body change where an iota becomes several insts."""
    result: list[Inst] = []
    number: list[int] = []
    for proto in body:
        inst = proto.inst
        args = tuple(number[a] for a in inst.args)
        if inst.op == "iota":
            walk = inst["view"]
            number.append(position(walk.offset, table[walk], result))
            continue
        attrs = tuple((k, view_of(v, table) if isinstance(v, Walk) else v) for k, v in inst.attrs)
        result.append(Inst(inst.op, args, inst.dtype, attrs))
        number.append(len(result) - 1)
    return tuple(result)


def view_of(walk: Walk, table: dict[Walk, list[int]]) -> View:
    target = walk.target
    return View(target.buffer, target.offset + walk.offset, tuple(table[walk]), target.turns)


def position(offset: int, strides: list[int], body: list[Inst]) -> int:
    """Append insts that compute offset + Σ stride * index, as i32; the place of the last."""
    total: int | None = None
    for axis, stride in enumerate(strides):
        if stride:
            term = push(body, Inst("index", (), "i32", (("axis", axis),)))
            if stride != 1:
                term = push(body, Inst("mul", (term, constant(body, stride)), "i32"))
            total = term if total is None else push(body, Inst("add", (total, term), "i32"))
    if total is None:
        return constant(body, offset)
    return push(body, Inst("add", (total, constant(body, offset)), "i32")) if offset else total


def constant(body: list[Inst], value: int) -> int:
    return push(body, Inst("const", (), "i32", (("bits", value & 0xFFFFFFFF),)))


def push(body: list[Inst], inst: Inst) -> int:
    if inst in body:
        return body.index(inst)
    body.append(inst)
    return len(body) - 1
