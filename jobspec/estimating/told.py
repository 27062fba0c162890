"""Bytes that devices tell each other in a step.

Takes: a step's work, the roles of its mesh. Promises: bytes that move between devices, all of them together, by what
they are for. A value that is gathered, or added up so that each device keeps a part, moves to each of n devices but
one: (n-1) times its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.estimating.anatomy import BEFORE, LAYERS, MIDDLE
from jobspec.estimating.operations import Work
from jobspec.estimating.roles import Roles
from jobspec.estimating.room import F32, Sizes


@dataclass(frozen=True)
class Told:
    """`tensor`: sums over a cut axis; `context`: keys and values; `pipeline`: from stage to stage; `gradients`:
    weights before, gradients after."""

    tensor: float
    context: float
    pipeline: float
    gradients: float

    @property
    def total(self) -> float:
        return self.tensor + self.context + self.pipeline + self.gradients


def told(work: Work, roles: Roles, sizes: Sizes, chunks: int, again: bool = False) -> Told:
    """`chunks`: of layers, on each stage; `again`: layers are computed again on the way back."""
    each = work.pieces * work.width
    hops = 2 * (roles.pipeline * chunks - 1) if roles.pipeline > 1 else 0
    return Told(
        tensor=each * (roles.tensor - 1) * sums(work, again),
        context=each * (roles.context - 1) * (3 + again) * work.met * work.layers,
        pipeline=each * hops * work.handed,
        gradients=roles.tensor * (roles.data * roles.context - 1) * (work.width + F32) * own(work, roles, sizes),
    )


def sums(work: Work, again: bool) -> int:
    """Elements of a piece's results that are sums over parts: added up and gathered again, forth and back."""
    layers = (6 if again else 4) * work.layers * sum(work.summed.get(LAYERS, ()))
    return layers + 2 * sum(work.summed.get(BEFORE, ())) + 2 * sum(work.summed.get(MIDDLE, ()))


def own(work: Work, roles: Roles, sizes: Sizes) -> float:
    """Numbers of parameters that one device of a tensor group has, of all stages."""
    ends = sizes.first + (sizes.last if roles.pipeline > 1 else 0.0)
    return work.layers * sizes.layer + ends
