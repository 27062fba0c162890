"""What a mask of positions leaves of a row: where nothing of a buffer counts, so that it need not be computed.

Takes: a kernel of kind rows, a buffer that it loads. Promises: a `Seen` is proven from the body alone: behind it every
value that is stored or reduced has the same bits whatever the buffer holds there, NaN and infinities as well, as a
`select` on the comparison hands on the other operand untouched (docs/numerics.md 2.5). Weights of +0 prove nothing: +0
times infinity is NaN, and −0 plus +0 is +0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.ir.kernel import Inst, Kernel


@dataclass(frozen=True)
class Seen:
    """Of a row the places before the position along `axis`, and that place too where it is seen `through`."""

    axis: int
    through: bool


def seen(kernel: Kernel, buffer: int) -> Seen | None:
    """What counts of `buffer`; None where all may."""
    loads = {i for i, inst in enumerate(kernel.body) if inst.op == "load" and inst["view"].buffer == buffer}
    return next((s for number, holds, s in comparisons(kernel) if comes_to_nothing(kernel, loads, number, holds)), None)


def comparisons(kernel: Kernel) -> Iterator[tuple[int, bool, Seen]]:
    """(inst, its value behind what is seen, what is seen) of each comparison of a row's place with another position."""
    (row,) = kernel.axes_of("row")
    for number, inst in enumerate(kernel.body):
        sides = [kernel.body[a] for a in inst.args] if inst.op in ("lt", "le") else []
        if [side.op for side in sides] == ["index", "index"]:
            left, right = (side["axis"] for side in sides)
            if left == row != right:
                yield number, False, Seen(right, inst.op == "le")
            elif right == row != left:
                yield number, True, Seen(left, inst.op == "lt")


def comes_to_nothing(kernel: Kernel, loads: set[int], number: int, holds: bool) -> bool:
    """Whether nothing that leaves the kernel depends on `loads` where the comparison `number` is `holds`."""
    known, open_ = {number: holds}, set(loads)
    for i, inst in enumerate(kernel.body):
        if i not in known and (value := fixed(inst, known)) is not None:
            known[i] = value
        if i in known or i in loads:
            continue
        if inst.op == "select" and inst.args[0] in known:
            reads = {inst.args[1] if known[inst.args[0]] else inst.args[2]}
        else:
            reads = {*inst.args}
        if reads & open_:
            if inst.op in ("store", "reduce"):
                return False
            open_.add(i)
    return True


def fixed(inst: Inst, known: dict[int, bool]) -> bool | None:
    """What a value is, given those that are known, where these alone decide it."""
    given = [known.get(a) for a in inst.args]
    if inst.op == "not" and inst.dtype == "bool" and given[0] is not None:
        return not given[0]
    decides = {"and": False, "or": True}.get(inst.op)
    return decides if inst.dtype == "bool" and decides is not None and decides in given else None
