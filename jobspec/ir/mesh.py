"""Where a job runs: a mesh of positions, and which axes are cut over it.

Takes: what `run { … }` of a text says. Promises: plain values that decide no bit of the result; no hash is over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from jobspec.ir.errors import UsageError

#: the axis that counts the examples
BATCH = "B"


@dataclass(frozen=True)
class Misfit:
    """An axis whose size has not so many equal parts. `phase`: where it has that size, if not in all."""

    axis: str
    size: int
    over: str
    parts: int
    phase: str = ""

    def refusal(self) -> UsageError:
        """E0868, and how many parts would do."""
        good = [n for n in range(1, self.size + 1) if self.size % n == 0]
        near = sorted(sorted(good, key=lambda n: abs(n - self.parts))[:2])
        said = " or ".join(f"`{self.over}={n}`" for n in near)
        where = f" in the phase `{self.phase}`" if self.phase else ""
        own = f", or give it a mesh of its own: `run NAME {{ on = [{self.phase}]; … }}`" if self.phase else ""
        reason = f"{self.axis} = {self.size}{where} has no {self.parts} equal parts for the mesh"
        return UsageError("E0868", reason, help=f"say {said}, or leave {self.axis} out of what `shard` cuts{own}")


@dataclass(frozen=True)
class Mesh:
    """`sizes`: (mesh axis, how many positions along it), the last one counts fastest; `shards`: (axis of the job, mesh
    axis that it is cut over); `phases`: those that run so, all where the text names none; `misfits`: what keeps the job
    from running on it."""

    sizes: tuple[tuple[str, int], ...] = ()
    shards: tuple[tuple[str, str], ...] = ()
    phases: tuple[str, ...] = ()
    name: str = ""
    misfits: tuple[Misfit, ...] = ()

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

    def need_fit(self) -> None:
        """Raises UsageError E0868 where an axis of the job is not cut evenly."""
        for misfit in self.misfits:
            raise misfit.refusal()

    def positions(self) -> list[tuple[int, ...]]:
        """Every position, by its number along each mesh axis."""
        return list(product(*(range(size) for _, size in self.sizes)))


#: one position
ALONE = Mesh()


def mesh_of(meshes: Sequence[Mesh], phase: str) -> Mesh:
    """Where a phase runs: the mesh that names it, else the one that names none, else one position."""
    named = next((mesh for mesh in meshes if phase in mesh.phases), None)
    return named or next((mesh for mesh in meshes if not mesh.phases), ALONE)
