"""Kernels apart from where their buffers lie: equal ones are the same form, and so the same native code.

Takes: a kernel, its schedule, the routine's buffers. Promises: a form with buffers and flags numbered in the order in
which the body meets them, and the table that puts it in its place: for each buffer of the form the bytes from its space
to it, then for each flag the bytes from the arena to its word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobspec.backends.llvm.convention import Place
from jobspec.ir.kernel import VIEWS, Inst, Kernel
from jobspec.ir.plan import Buffer, Schedule

#: bytes of a flag word
WORD = 4


@dataclass(frozen=True)
class Form:
    """`operands`: space and type of each buffer."""

    kernel: Kernel
    schedule: Schedule
    operands: tuple[tuple[str, str], ...]

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(Place(space, slot, dtype) for slot, (space, dtype) in enumerate(self.operands))

    @property
    def flags(self) -> Place:
        """Of the first flag; the others follow in the table."""
        return Place("arena", len(self.operands), "i32")


def formed(
    kernel: Kernel, schedule: Schedule, buffers: Sequence[Buffer], flags: Buffer
) -> tuple[Form, tuple[int, ...]]:
    """The form of `kernel`, and its table. `flags`: the buffer of the flag words."""
    numbers = Numbers({}, {})
    body = tuple(numbers.inst(inst) for inst in kernel.body)
    own = [buffers[number] for number in numbers.buffers]
    form = Form(Kernel("", kernel.kind, kernel.axes, body), schedule, tuple((b.space, b.type.dtype) for b in own))
    return form, (*(b.offset for b in own), *(flags.offset + WORD * flag for flag in numbers.flags))


@dataclass(frozen=True)
class Numbers:
    """The form's number of each buffer and flag met so far."""

    buffers: dict[int, int]
    flags: dict[int, int]

    def inst(self, inst: Inst) -> Inst:
        return replace(inst, attrs=tuple((key, self.value(key, value)) for key, value in inst.attrs))

    def value(self, key: str, value: Any) -> Any:
        if key in VIEWS:
            return replace(value, buffer=self.buffers.setdefault(value.buffer, len(self.buffers)))
        if key == "flag" and value >= 0:
            return self.flags.setdefault(value, len(self.flags))
        return value
