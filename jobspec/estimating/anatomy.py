"""Where in a training step each kernel stands: in a piece of the batch, in a layer, on the way forth or back.

Takes: a routine of the plan. Promises: each call of a kernel of one piece's work once, with its place and how often it
runs there; rolled loops are counted, never unrolled. The pieces of `shards` are loops of two turns around nearly all
of the work (lang/pieces.py); a loop over layers is one whose turns are the pipeline's, or the one with most work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Call, Routine, Steps, Turns
from jobspec.passes.tally import Tally, of_kernel, of_steps

#: before, in, between and behind the loops over layers; once a step
BEFORE, LAYERS, MIDDLE, BACK, AFTER, UPDATE = "before", "layers", "middle", "back", "after", "update"


@dataclass(frozen=True)
class Placed:
    """A kernel at `place`, `count` times in a piece; in LAYERS and BACK: in one layer of it."""

    kernel: int
    place: str
    count: int


@dataclass(frozen=True)
class Anatomy:
    """`pieces` of the batch, each of `layers` layers (1 where no loop is over them); `cut`: whether it has pieces."""

    pieces: int
    layers: int
    calls: tuple[Placed, ...]
    cut: bool


def anatomy(routine: Routine, layers: int | None) -> Anatomy:
    """`layers`: turns of the loops that a pipeline cuts; None: those of the heaviest loop."""
    each = [of_kernel(kernel, routine.buffers) for kernel in routine.kernels]
    body = piece_of(routine.steps, each)
    count = layers or heaviest(body, each)
    calls = tuple(placed(body, count))
    whole = body is routine.steps
    if not whole:
        calls += tuple(once(routine, {call.kernel for call in calls}))
    pieces = 1 if whole else count_pieces(routine, calls, count, each)
    return Anatomy(pieces, count, calls, not whole)


def once(routine: Routine, piece: set[int]) -> Iterator[Placed]:
    """What runs once a step; the last of an odd number of pieces stands there alone, and its kernels are a piece's."""
    kernels = routine.kernels
    alike = {form(kernels[i]) for i in piece}
    for step in routine.steps:
        if isinstance(step, Call) and form(kernels[step.kernel]) not in alike:
            yield Placed(step.kernel, UPDATE, 1)


def form(kernel: Kernel) -> tuple[object, ...]:
    """What equal work has in common; a contraction may end in the fold of the pieces."""
    return kernel.axes, kernel.kind if kernel.kind == "contract" else kernel.name


def piece_of(steps: Steps, each: Sequence[Tally]) -> Steps:
    """The steps of one piece: as long as a loop of two turns does at least half of the contractions, what is in it."""

    def work(turns: Turns) -> int:
        return of_steps((turns,), each).contractions

    loops = [s for s in steps if isinstance(s, Turns) and s.count == 2 and not s.reverse]
    most = max(loops, key=work, default=None)
    if most is None or not work(most) or 2 * work(most) < of_steps(steps, each).contractions:
        return steps
    return piece_of(most.steps, each)


def heaviest(steps: Steps, each: Sequence[Tally]) -> int:
    """Turns of the loop with the most operations; 1 where there is none."""
    loops = [s for s in steps if isinstance(s, Turns)]
    most = max(loops, key=lambda s: of_steps((s,), each).operations, default=None)
    return most.count if most else 1


def placed(body: Steps, layers: int) -> Iterator[Placed]:
    place = BEFORE if any(is_layers(s, layers) for s in body) else MIDDLE
    for step in body:
        if isinstance(step, Call):
            yield Placed(step.kernel, place, 1)
        elif isinstance(step, Turns) and is_layers(step, layers):
            yield from inner(step.steps, BACK if step.reverse else LAYERS, 1)
            place = AFTER if step.reverse else MIDDLE
        elif isinstance(step, Turns):
            yield from inner(step.steps, place, step.count)


def is_layers(step: object, layers: int) -> bool:
    return isinstance(step, Turns) and step.count == layers > 1


def inner(steps: Steps, place: str, count: int) -> Iterator[Placed]:
    for step in steps:
        if isinstance(step, Call):
            yield Placed(step.kernel, place, count)
        elif isinstance(step, Turns):
            yield from inner(step.steps, place, count * step.count)


def count_pieces(routine: Routine, calls: Sequence[Placed], layers: int, each: Sequence[Tally]) -> int:
    """How often the whole step runs the heaviest contraction, by how often a piece does: equal kernels count as one, as
    a number of pieces that is no power of two has a nest of loops for each power in it."""
    mine = [call for call in calls if call.place != UPDATE]
    top = max(mine, key=lambda call: each[call.kernel].contractions)
    shape = form(routine.kernels[top.kernel])
    alike = {i for i, kernel in enumerate(routine.kernels) if form(kernel) == shape}

    def turns(call: Placed) -> int:
        return call.count * (layers if call.place in (LAYERS, BACK) else 1)

    return runs(routine.steps, alike) // sum(turns(call) for call in mine if call.kernel in alike)


def runs(steps: Steps, kernels: set[int]) -> int:
    """How often any of `kernels` runs."""
    total = 0
    for step in steps:
        if isinstance(step, Call):
            total += step.kernel in kernels
        elif isinstance(step, Turns):
            total += step.count * runs(step.steps, kernels)
    return total
