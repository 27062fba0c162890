"""A routine of a plan as one program text and the order of its launches.

Takes: a routine, the dialect's name. Promises: the text holds every function; `launches` are in the order of the
plan, loops unrolled into their turns by whoever runs them. Barriers need nothing: a launch ends before the
next begins. A plan that no compiler of ours makes is rendered, or refused in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from jobspec.backends.c import between
from jobspec.backends.c.kernels import ANEW, render
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.source import source
from jobspec.backends.c.writer import Writer
from jobspec.ir.errors import CompileError
from jobspec.ir.plan import Barrier, Call, Routine, Schedule, Steps, Turns
from jobspec.ir.trio import Trio, trios

#: what a renderer comes upon in a kernel, or a schedule, that is not of its kind
UNLIKE = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
#: of any choice of a schedule; sums of a work-item
MOST, MOST_SUMS = 4096, 1024


@dataclass(frozen=True)
class Rendered:
    """`kernels`: launches of each kernel of the routine; `steps`: its own, where the middle of a trio that is one
    launch stands for all three; `scratch`: bytes that they need beside the arena."""

    routine: Routine
    text: str
    kernels: tuple[tuple[Launch, ...], ...]
    steps: Steps

    @property
    def scratch(self) -> int:
        return max((launch.scratch for launches in self.kernels for launch in launches), default=0)

    def order(self) -> Iterator[tuple[Launch, tuple[int, ...]]]:
        """Every launch of one step with the counters of the loops around it."""
        for kernel, turns in self.calls():
            yield from ((launch, turns[: launch.turns]) for launch in self.kernels[kernel])

    def calls(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Every call of a kernel in one step, by its number, with the counters of the loops around it."""
        return called(self.steps, ())


def called(steps: Steps, turns: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for step in steps:
        if isinstance(step, Call):
            yield step.kernel, turns
        elif isinstance(step, Turns):
            for turn in reversed(range(step.count)) if step.reverse else range(step.count):
                yield from called(step.steps, (*turns, turn))


def render_routine(routine: Routine, dialect: str) -> Rendered:
    """All kernels of `routine`; kernel i's functions begin with `k{i}`. Raises CompileError E0607 for what is not
    executed on devices."""
    reason = f"routine `{routine.name}` of this plan has a kernel, or a schedule, that {dialect} cannot execute"
    if not all(is_bounded(schedule) for schedule in routine.schedules):
        raise CompileError("E0607", reason, help=ANEW)
    try:
        return rendered(routine, dialect)
    except UNLIKE as error:
        raise CompileError("E0607", reason, help=ANEW) from error


def is_bounded(schedule: Schedule) -> bool:
    """Whether its text comes to an end."""
    sums = schedule.get("rows", 1) * schedule.get("columns", 1)
    return sums <= MOST_SUMS and all(-1 <= number <= MOST for _, number in schedule.choices)


def rendered(routine: Routine, dialect: str) -> Rendered:
    writer = Writer()
    joined = {trio.middle: trio for trio in trios(routine) if is_joined(routine, trio)}
    within = {number for trio in joined.values() for number in trio.kernels}
    kernels: list[tuple[Launch, ...]] = []
    for number in range(len(routine.kernels)):
        if number in joined:
            kernels.append((between.render(f"k{number}", joined[number], routine, writer),))
        else:
            kernels.append(() if number in within else launches(routine, number, writer))
    steps = shortened(routine.steps, {trio.last: trio.middle for trio in joined.values()}, within)
    return Rendered(routine, source(dialect, writer), tuple(kernels), steps)


def is_joined(routine: Routine, trio: Trio) -> bool:
    """Whether its schedule asks for one launch, or there is no memory between its kernels."""
    apart = all(routine.buffers[number].space != "group" for number in trio.between)
    return not apart or routine.schedules[trio.middle].get("between", 0) > 0


def launches(routine: Routine, number: int, writer: Writer) -> tuple[Launch, ...]:
    """Of one kernel by itself."""
    flags = routine.buffers[routine.flag_buffer]
    q = Request(f"k{number}", routine.kernels[number], routine.schedules[number], routine.buffers, flags)
    return tuple(render(q, writer))


def shortened(steps: Steps, instead: Mapping[int, int], within: Collection[int]) -> Steps:
    """`steps`, where a trio is called in the place of its last kernel alone."""
    found: list[Call | Barrier | Turns] = []
    for step in steps:
        if isinstance(step, Turns):
            found.append(replace(step, steps=shortened(step.steps, instead, within)))
        elif isinstance(step, Call) and step.kernel in within:
            found += [Call(instead[step.kernel])] if step.kernel in instead else []
        else:
            found.append(step)
    return tuple(found)
