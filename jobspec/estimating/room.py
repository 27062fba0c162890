"""What lies in a device's memory.

Takes: the job's state, a step's work, the roles of the mesh. Promises: bytes of the fullest device: weights as
contractions take them, float32 sums of gradients, float32 weights and optimizer state in equal parts over the devices
that hold the same weights (Rajbhandari et al. 2020, arXiv 1910.02054, its first stage), results kept for the way back,
and the largest value at the ends of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from jobspec.estimating.operations import Work
from jobspec.estimating.roles import Roles
from jobspec.ir.job import Job, Slot
from jobspec.ir.types import DTYPES

F32 = DTYPES["f32"]


@dataclass(frozen=True)
class Room:
    """Bytes."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    values: float

    @property
    def total(self) -> float:
        return self.weights + self.gradients + self.optimizer + self.activations + self.values


@dataclass(frozen=True)
class Sizes:
    """Numbers on one device: of a layer, of the first stage's and of the last stage's own parameters; `state`: of all
    state beside parameters, by each number of parameters."""

    layer: float
    first: float
    last: float
    state: float

    def most(self, layers: int) -> float:
        """Of a stage with `layers` layers that has an end of the model, at most."""
        return layers * self.layer + max(self.first, self.last)


def sizes_of(job: Job, work: Work, roles: Roles) -> Sizes:
    parameters = [slot for slot in job.state if slot.kind == "parameter"]
    stacked = [slot for slot in parameters if is_layer(slot, work, roles)]
    others = [slot for slot in parameters if not is_layer(slot, work, roles)]
    first = sum(part(slot, roles) for slot in others if slot.name in work.looked_up)
    last = sum(part(slot, roles) for slot in others if slot.name not in work.looked_up)
    alone = roles.pipeline == 1
    total = sum(slot.type.size for slot in parameters)
    rest = sum(slot.type.size for slot in job.state) - total
    layer = sum(part(slot, roles) for slot in stacked) / work.layers
    return Sizes(layer, first + last if alone else first, first + last if alone else last, rest / max(1, total))


def is_layer(slot: Slot, work: Work, roles: Roles) -> bool:
    if roles.stacked:
        return slot.axes[:1] == (roles.stacked,)
    return work.layers > 1 and slot.type.shape[:1] == (work.layers,)


def part(slot: Slot, roles: Roles) -> float:
    """Numbers of a slot that one device of a tensor group holds."""
    return slot.type.size / (roles.tensor if set(slot.axes) & set(roles.cut) else 1)


def room_of(sizes: Sizes, work: Work, roles: Roles, layers: int, held: float) -> Room:
    """`layers`: of a stage; `held`: elements of results kept on it, before a piece's devices share them."""
    count = sizes.most(layers)
    over = roles.data * roles.context
    return Room(
        weights=count * work.width,
        gradients=count * F32,
        optimizer=count * (1 + sizes.state) * F32 / over,
        activations=held * work.width / (roles.tensor * roles.context),
        values=2 * work.wide / (roles.tensor * roles.context),
    )


def state_bytes(job: Job) -> int:
    """What a checkpoint holds."""
    return sum(prod(slot.type.shape) * DTYPES[slot.type.dtype] for slot in job.state)
