"""What each axis of a mesh is for, by what is cut over it.

Takes: a job, a phase's mesh. Promises: how many devices share a piece of the batch and in which way: `tensor` (axes of
weights), `context` (places of a window), `pipeline` (layers), `data` (examples). Devices of one tensor group lie side
by side, then those of a context group, of a pipeline, and farthest apart those that share gradients alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from jobspec.estimating.links import Group
from jobspec.ir.job import Job, Phase
from jobspec.ir.mesh import Mesh

BATCH = "B"


@dataclass(frozen=True)
class Roles:
    """Sizes of the four ways. `cut`: axes of the job that are cut over a tensor group; `stacked`: the layers' axis."""

    tensor: int = 1
    context: int = 1
    pipeline: int = 1
    data: int = 1
    cut: tuple[str, ...] = ()
    stacked: str | None = None

    @property
    def devices(self) -> int:
        return self.tensor * self.context * self.pipeline * self.data

    @property
    def tensor_group(self) -> Group:
        return Group(self.tensor)

    @property
    def context_group(self) -> Group:
        return Group(self.context, self.tensor)

    @property
    def next_stage(self) -> Group:
        return Group(self.pipeline, self.tensor * self.context)

    @property
    def gradient_group(self) -> Group:
        """Devices that hold the same weights: of all examples and all places."""
        stride = self.tensor * self.pipeline if self.data > 1 else self.tensor
        return Group(self.data * self.context, stride)


def roles(job: Job, phase: Phase, mesh: Mesh) -> Roles:
    """Mesh axes that nothing is cut over hold copies and count as data."""
    kinds = {axis: kind_of(job, axis) for axis, _ in mesh.shards}
    over = {kind: {mesh.over(axis) for axis, k in kinds.items() if k == kind} for kind in kinds.values()}
    sizes = {kind: prod(mesh.size(name) for name in names if name) for kind, names in over.items()}
    stacked = next((axis for axis, kind in kinds.items() if kind == "pipeline"), None)
    used = sizes.get("tensor", 1) * sizes.get("context", 1) * sizes.get("pipeline", 1)
    cut = tuple(axis for axis, kind in kinds.items() if kind == "tensor")
    return Roles(
        sizes.get("tensor", 1), sizes.get("context", 1), sizes.get("pipeline", 1), mesh.count // used, cut, stacked
    )


def kind_of(job: Job, axis: str) -> str:
    if axis == BATCH:
        return "data"
    slots = [slot.axes for slot in job.state if axis in slot.axes]
    sizes = dict(job.sizes)
    if all(axes[0] == axis for axes in slots) and sizes.get(axis) in set(windows(job)):
        return "context"
    if slots and all(axes[0] == axis for axes in slots) and len({axes[1:] for axes in slots}) > 1:
        return "pipeline"
    return "tensor" if slots else "context"


def windows(job: Job) -> Iterator[int]:
    """Tokens of a window, in the phases and evaluations."""
    yield from (p.batches.stream.window for p in job.phases if p.batches.stream.window)
    yield from (e.batches.stream.window for e in job.evaluations if e.batches.stream.window)
