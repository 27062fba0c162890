"""Stores in two bytes what holds bfloat16, for jobs that compute `fast` on devices whose tiles read it so.

Takes: kernels, buffers that no one else sees. Promises: names those of which every element that is ever written is a
bfloat16 number (so its lower half is zero, and nothing is lost), and which are read as kernels may read halves: element
by element, or by a contraction's own order. The kernels stay as they are; no bit changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from jobspec.ir.kernel import VIEWS, Inst, Kernel, View, may_halve
from jobspec.ir.types import HALVES, Type
from jobspec.passes.workshop import Workshop

LOW = 0xFFFF


def store_halves(shop: Workshop, kernels: Sequence[Kernel], seen: Collection[int]) -> None:
    """Gives the shop's buffers their types; those `seen` from outside keep theirs."""
    for number in halves(kernels, {i for i, (_, type) in enumerate(shop.buffers) if type.dtype == "f32"} - set(seen)):
        name, type = shop.buffers[number]
        shop.buffers[number] = name, Type(HALVES, type.shape)


def halves(kernels: Sequence[Kernel], floats: Collection[int]) -> set[int]:
    """Of the buffers `floats`: all that may be, less those that take what is no bfloat16, until none is left."""
    uses = [(inst, view) for kernel in kernels for inst in kernel.body for view in views(inst)]
    written = {view.buffer for inst, view in uses if inst.op == "store"}
    found = written.intersection(floats) - {view.buffer for inst, view in uses if not may_halve(inst)}
    while wrong := {number for kernel in kernels for number in spoiled(kernel, found)}:
        found -= wrong
    return found


def views(inst: Inst) -> list[View]:
    return [value for name, value in inst.attrs if name in VIEWS]


def spoiled(kernel: Kernel, narrow: Collection[int]) -> Iterator[int]:
    """Those of `narrow` to which the kernel stores what may be no bfloat16."""
    stores = [inst for inst in kernel.body if inst.op == "store" and inst["view"].buffer in narrow]
    holds = holding(kernel, narrow) if stores else []
    yield from (inst["view"].buffer for inst in stores if not holds[inst.args[0]])


def holding(kernel: Kernel, narrow: Collection[int]) -> list[bool]:
    """Of each inst: whether its value is always a bfloat16 number."""
    found: list[bool] = []
    for inst in kernel.body:
        held = inst.op == "bf16"
        if inst.op == "const":
            held = inst.dtype == "f32" and not inst["bits"] & LOW
        elif inst.op == "load":
            held = inst["view"].buffer in narrow
        elif inst.op == "select":
            held = all(found[arg] for arg in inst.args[1:])
        found.append(held)
    return found
