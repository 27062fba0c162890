"""Which weights a contraction reads, and whether a mesh cuts what it sums over.

Takes: a routine, the axes of the job's state, the mesh. Promises: a buffer that only holds a weight in another type or
place stands for that weight; the axis of a kernel that runs over a cut axis of a weight is found by strides, however
axes were merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from jobspec.ir.job import Job, Slot
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Routine

#: a kernel of nothing else moves or rounds values
MOVES = {"load", "store", "cast", "bf16", "const"}


@dataclass(frozen=True)
class Weights:
    """`slots`: number of a buffer → the slot whose values it holds; `cut`: slot → (stride, size) of the axes that are
    cut over several devices, inside one layer."""

    slots: Mapping[int, Slot]
    cut: Mapping[str, tuple[tuple[int, int], ...]]

    def of(self, view: View) -> Slot | None:
        return self.slots.get(view.buffer)

    def sums_over_parts(self, kernel: Kernel, view: View) -> bool:
        """Whether the kernel's sum runs over a cut axis of the weight that it reads by `view`."""
        slot = self.of(view)
        if slot is None:
            return False
        roles = {role_at(kernel, view, stride) for stride, _ in self.cut.get(slot.name, ())}
        return "k" in roles


def role_at(kernel: Kernel, view: View, stride: int) -> str | None:
    """The role of the kernel's axis whose walk passes places `stride` apart."""
    walks = zip(kernel.axes, view.strides, strict=True)
    return next((axis.role for axis, step in walks if step and step <= stride < step * axis.size), None)


def weights(job: Job, routine: Routine, tensor: Sequence[str], stacked: str | None) -> Weights:
    """`tensor`: axes of the job that are cut over the devices of one layer; `stacked`: the axis of the layers."""
    kept = dict(routine.slots)
    slots = {kept[slot.name]: slot for slot in job.state if slot.name in kept}
    for kernel in routine.kernels:
        if moves(kernel):
            read = [view.buffer for view, written in kernel.views() if not written]
            made = [view.buffer for view, written in kernel.views() if written]
            if len(read) == len(made) == 1 and read[0] in slots and made[0] not in slots:
                slots[made[0]] = slots[read[0]]
    return Weights(slots, {slot.name: cuts(slot, tensor, stacked) for slot in job.state})


def cuts(slot: Slot, tensor: Sequence[str], stacked: str | None) -> tuple[tuple[int, int], ...]:
    sizes = slot.type.shape
    strides = [prod(sizes[i + 1 :]) for i in range(len(sizes))]
    found = zip(slot.axes, strides, sizes, strict=True)
    return tuple((stride, size) for axis, stride, size in found if axis in tensor and axis != stacked)


def moves(kernel: Kernel) -> bool:
    """Whether a kernel computes nothing: such work rides with the kernel before or behind it."""
    plain = all(inst.op in MOVES and not (inst.op == "load" and inst.args) for inst in kernel.body)
    return kernel.kind == "fill" or (kernel.kind == "rows" and plain)
