"""The plan: a linear program (with rolled loops) of kernel calls over planned buffers.

Takes: kernels, their schedules, buffers with places. Promises: a plain immutable value that says
everything a runner needs; every access of every kernel lies inside its buffer (check_plan in
plan_check.py proves it); two threads never touch one buffer in conflict without a barrier between.

    steps := Call(kernel) | Barrier | Turns(count, reverse, steps)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.ir.kernel import Kernel
from jobspec.ir.target import Target
from jobspec.ir.types import Type


@dataclass(frozen=True, slots=True)
class Buffer:
    """`space`: arena (state, scratch, constants: one block that lives as long as the run), feed (one block per
    batch), or group: in no memory, as a trio of kernels that is one launch hands it on by itself (trio.py).
    `offset`: bytes from the start of its space, a multiple of 64."""

    name: str
    type: Type
    space: str
    offset: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a kernel is to be executed; plain numbers by name, see the backend's documentation."""

    choices: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, **choices: int) -> Schedule:
        return cls(tuple(sorted(choices.items())))

    def get(self, name: str, default: int) -> int:
        return dict(self.choices).get(name, default)


@dataclass(frozen=True, slots=True)
class Call:
    """Run kernel number `kernel`; its outer iterations are shared out among all threads."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """No thread goes on before all have come here."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Repeat `steps` for turn = 0 … count-1, or downwards where `reverse`."""

    count: int
    reverse: bool
    steps: tuple[Call | Barrier | Turns, ...]


Steps = tuple[Call | Barrier | Turns, ...]


def called(steps: Steps) -> Iterator[int]:
    """Numbers of kernels in the order of the text, loops once."""
    for step in steps:
        if isinstance(step, Call):
            yield step.kernel
        elif isinstance(step, Turns):
            yield from called(step.steps)


@dataclass(frozen=True)
class Routine:
    """One compiled program (a training step, an evaluation).

    slots: (name, buffer) in state order, updated in place; feeds: (name, buffer) in the feed space;
    constants: (buffer, bytes) written into the arena once; reports: (name, buffer) f32 scalars that
    hold their value after the steps; flags: what raised flag i means (`index: …` or `nonfinite: slot`);
    flag_buffer: one i32 per flag, zero before the run; step: buffer of the i32 step number, written by
    the runner before each step, or -1; arena, feed: bytes.
    """

    name: str
    kernels: tuple[Kernel, ...]
    schedules: tuple[Schedule, ...]
    buffers: tuple[Buffer, ...]
    steps: Steps
    slots: tuple[tuple[str, int], ...]
    feeds: tuple[tuple[str, int], ...]
    constants: tuple[tuple[int, bytes], ...]
    reports: tuple[tuple[str, int], ...]
    flags: tuple[str, ...]
    flag_buffer: int
    step: int
    arena: int
    feed: int


@dataclass(frozen=True)
class Plan:
    """`job`: the job's hash (b3:…). Routines: `init`, the steps (`step`, or `step.NAME` of a
    phase; phases with equal steps share one), then one per evaluation (its name)."""

    job: str
    profile: str
    target: Target
    routines: tuple[Routine, ...]

    def routine(self, name: str) -> Routine:
        return next(r for r in self.routines if r.name == name)
