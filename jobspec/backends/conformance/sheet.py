"""Kernels written down by hand: one clause of the contract each.

Takes: operations one by one. Promises: a kernel of the IR with arrays to run it on; nothing of any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobspec.backends.reference.numbers import NUMPY, Array
from jobspec.ir.kernel import Axis, Inst, Kernel, View


@dataclass(frozen=True)
class Case:
    """`clause`: what it shows, in words; the kernel's last arrays are what it writes."""

    clause: str
    kernel: Kernel
    arrays: tuple[Array, ...]


@dataclass
class Sheet:
    """A kernel being written; methods give the number of the inst."""

    axes: tuple[Axis, ...]
    body: list[Inst] = field(default_factory=list)

    def op(self, name: str, *args: int, dtype: str = "f32", **attrs: Any) -> int:
        self.body.append(Inst(name, args, dtype, tuple(attrs.items())))
        return len(self.body) - 1

    def load(self, buffer: int, strides: Sequence[int], dtype: str = "f32") -> int:
        return self.op("load", dtype=dtype, view=View(buffer, 0, tuple(strides)))

    def store(self, x: int, buffer: int, strides: Sequence[int]) -> None:
        self.op("store", x, dtype=self.body[x].dtype, view=View(buffer, 0, tuple(strides)), flag=-1)

    def case(self, clause: str, kind: str, *arrays: Array) -> Case:
        return Case(clause, Kernel("conformance", kind, self.axes, tuple(self.body)), arrays)


def elementwise(clause: str, op: str, kind: str, dtype: str, *operands: Array) -> Case:
    """`op` on every element of `operands`, whose type is `kind`."""
    size = operands[0].size
    sheet = Sheet((Axis(size, "outer"),))
    loads = [sheet.load(i, (1,), kind) for i in range(len(operands))]
    sheet.store(sheet.op(op, *loads, dtype=dtype), len(operands), (1,))
    return sheet.case(clause, "fill", *operands, np.zeros(size, NUMPY[dtype]))
