"""Where a job runs: a mesh of positions, and which axes are cut over it.

Takes: what `run { … }` of a text says. Promises: plain values that decide no bit of the result; no hash is over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

#: the axis that counts the examples
BATCH = "B"


@dataclass(frozen=True)
class Mesh:
    """`sizes`: (mesh axis, how many positions along it), the last one counts fastest; `shards`: (axis of the job, mesh
    axis that it is cut over); `phases`: those that run so, all where the text names none."""

    sizes: tuple[tuple[str, int], ...] = ()
    shards: tuple[tuple[str, str], ...] = ()
    phases: tuple[str, ...] = ()
    name: str = ""

    @property
    def count(self) -> int:
        """Positions of the mesh."""
        return prod(size for _, size in self.sizes)

    def size(self, over: str) -> int:
        """Positions along a mesh axis; 1 where there is no such."""
        return dict(self.sizes).get(over, 1)

    def over(self, axis: str) -> str | None:
        """The mesh axis that an axis of the job is cut over."""
        return dict(self.shards).get(axis)

    def parts(self, axis: str) -> int:
        """How many parts an axis of the job is cut into."""
        over = self.over(axis)
        return self.size(over) if over else 1

    def positions(self) -> list[tuple[int, ...]]:
        """Every position, by its number along each mesh axis."""
        return list(product(*(range(size) for _, size in self.sizes)))


#: one position
ALONE = Mesh()


def mesh_of(meshes: Sequence[Mesh], phase: str) -> Mesh:
    """Where a phase runs: the mesh that names it, else the one that names none, else one position."""
    named = next((mesh for mesh in meshes if phase in mesh.phases), None)
    return named or next((mesh for mesh in meshes if not mesh.phases), ALONE)
