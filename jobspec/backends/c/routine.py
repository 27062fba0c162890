"""A routine of a plan as one program text and the order of its launches.

Takes: a routine, the dialect's name. Promises: the text holds every function; `launches` are in the order of the
plan, loops unrolled into their turns by whoever runs them. Barriers need nothing: a launch ends before the
next begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.ir.plan import Call, Routine, Steps, Turns


@dataclass(frozen=True)
class Rendered:
    """`kernels`: launches of each kernel of the routine; `scratch`: bytes that they need beside the arena."""

    routine: Routine
    text: str
    kernels: tuple[tuple[Launch, ...], ...]

    @property
    def scratch(self) -> int:
        return max((launch.scratch for launches in self.kernels for launch in launches), default=0)

    def order(self) -> Iterator[tuple[Launch, tuple[int, ...]]]:
        """Every launch of one step with the counters of the loops around it."""
        for kernel, turns in self.calls():
            yield from ((launch, turns[: launch.turns]) for launch in self.kernels[kernel])

    def calls(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Every call of a kernel in one step, by its number, with the counters of the loops around it."""
        return called(self.routine.steps, ())


def called(steps: Steps, turns: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for step in steps:
        if isinstance(step, Call):
            yield step.kernel, turns
        elif isinstance(step, Turns):
            for turn in reversed(range(step.count)) if step.reverse else range(step.count):
                yield from called(step.steps, (*turns, turn))


def render_routine(routine: Routine, dialect: str) -> Rendered:
    """All kernels of `routine`; kernel i's functions begin with `k{i}`."""
    writer, flags = Writer(), routine.buffers[routine.flag_buffer]
    kernels = tuple(
        tuple(render(Request(f"k{i}", kernel, schedule, routine.buffers, flags), writer))
        for i, (kernel, schedule) in enumerate(zip(routine.kernels, routine.schedules, strict=True))
    )
    return Rendered(routine, source(dialect, writer), kernels)
