"""Marks the contractions whose leaves a device may sum in an order of its own, for jobs that compute `fast`.

Takes: kernels. Promises: a plain contraction's product says `own`; what an index decides keeps the contract's order.
Which kernels are marked depends on the kernels alone, so that no schedule decides about a bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobspec.ir.kernel import Inst, Kernel

PLAIN = {"a", "b"}


def mark_own_order(kernels: Iterable[Kernel]) -> tuple[Kernel, ...]:
    """`kernels`, marked."""
    return tuple(replace(kernel, body=tuple(map(marked, kernel.body))) for kernel in kernels)


def marked(inst: Inst) -> Inst:
    if inst.op != "product" or {name for name, _ in inst.attrs} != PLAIN:
        return inst
    return replace(inst, attrs=(*inst.attrs, ("own", 1)))
