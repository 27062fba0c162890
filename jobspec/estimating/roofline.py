"""How long an operation takes on one device.

Takes: operations of a piece, the cluster, how many devices share the piece. Promises: the roofline (Williams, Waterman,
Patterson 2009): what is slower of arithmetic and memory, at the attained fractions of their peaks, and not less than it
takes to launch a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from jobspec.estimating.cluster import Cluster
from jobspec.estimating.operations import Operation


@dataclass(frozen=True)
class Times:
    """Seconds by what they are spent on."""

    contractions: float = 0.0
    attention: float = 0.0
    memory: float = 0.0
    tensor: float = 0.0
    context: float = 0.0

    @property
    def total(self) -> float:
        return float(sum(getattr(self, f.name) for f in fields(self)))

    def __add__(self, other: Times) -> Times:
        return Times(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def times(self, count: float) -> Times:
        return Times(*(count * getattr(self, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Device:
    """One device. `dtype`: the type that contractions take; `parts`: how many devices share a piece."""

    cluster: Cluster
    dtype: str
    parts: int

    def seconds(self, operation: Operation) -> float:
        """One run, on one of the devices that share it."""
        cluster, attained = self.cluster, self.cluster.attained
        fraction = attained.attention if operation.attention else attained.contractions
        contracted = operation.flop / (cluster.peak_of(self.dtype) * fraction)
        others = operation.other / cluster.peak["f32"] if "f32" in cluster.peak else 0.0
        moved = operation.moved / (cluster.bandwidth * attained.memory)
        return max(max(contracted, others, moved) / self.parts, cluster.launch)

    def times(self, operations: Sequence[Operation]) -> Times:
        total = Times()
        for operation in operations:
            total += self.of(operation)
        return total

    def of(self, operation: Operation) -> Times:
        taken = operation.count * self.seconds(operation)
        if operation.attention:
            return Times(attention=taken)
        return Times(contractions=taken) if operation.flop else Times(memory=taken)
