"""The search for schedules: candidates of each kernel measured where the kernel stands, in a step of its job.

Takes: a routine that runs kernel by kernel, its target. Promises: every kernel that takes a share of the step worth the
while is timed with its likeliest schedules, all in turn in every round, so that a machine that drifts drifts for all;
another schedule than the scheduler's is chosen only where it is faster by more than the clock's noise. The values of
the step are the same whichever is tried. Three kernels that may be one launch (ir/trio.py) count together, as the
middle one's time.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from jobspec.backends.session import Stepper
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Routine, Schedule
from jobspec.ir.target import Target
from jobspec.ir.trio import Trio, trios
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.tuning import key_of

#: a kernel with a smaller share of the step is left as it is; a gain below `GAIN` is noise
SHARE, GAIN = 0.003, 0.02


@dataclass(frozen=True)
class Tuned:
    """A kernel of the routine. `before`, `after`: seconds of all its calls in a step with the scheduler's choice and
    with `schedule`; of a trio's middle, of all three."""

    number: int
    kernel: Kernel
    schedule: Schedule
    before: float
    after: float
    tried: int


def tune(stepper: Stepper, target: Target, most: int, rounds: int) -> list[Tuned]:
    """What is best for each distinct kernel of `stepper`, dearest first, out of `most` candidates, over `rounds`."""
    routine = stepper.routine
    menus = {i: menu(routine, i, target, most) for i in worthwhile(stepper, target)}
    if not menus:
        return []
    variants = [stepper.scheduled(variant(routine, menus, turn)) for turn in range(max(map(len, menus.values())))]
    try:
        times = measured(variants, rounds, len(routine.kernels))
    finally:
        for each in variants:
            each.close()
    asked = {i for i, schedules in menus.items() if any(s.get("between", 0) for s in schedules)}
    joined = {i: trio for i, trio in by_kernel(routine).items() if trio.middle in asked}
    found = [decided(routine, i, schedules, taken(times, i, joined.get(i))) for i, schedules in menus.items()]
    return sorted(found, key=lambda t: -t.before)


def worthwhile(stepper: Stepper, target: Target) -> list[int]:
    """Kernels with a choice and a share of the step, each distinct one once."""
    stepper.step(0)
    seconds = [0.0] * len(stepper.routine.kernels)
    for call in stepper.step(1):
        seconds[call.kernel] += call.seconds
    chosen = (i for i, taken in enumerate(seconds) if taken > SHARE * sum(seconds))
    distinct = {key_of(stepper.routine.kernels[i], target): i for i in reversed(list(chosen))}
    return sorted(i for i in distinct.values() if len(possible_schedules(stepper.routine.kernels[i], target)) > 1)


def by_kernel(routine: Routine) -> dict[int, Trio]:
    """The trio that a kernel is of."""
    return {number: trio for trio in trios(routine) for number in trio.kernels}


def menu(routine: Routine, number: int, target: Target, most: int) -> list[Schedule]:
    """The present schedule, then the likeliest others that make a difference."""
    present, trio = routine.schedules[number], by_kernel(routine).get(number)
    possible = possible_schedules(routine.kernels[number], target)
    others = (s for s in possible if s != present and makes_sense(routine, number, s, trio))
    return [present, *others][:most]


def makes_sense(routine: Routine, number: int, schedule: Schedule, trio: Trio | None) -> bool:
    """Whether one launch is asked for where there is a trio; and nothing else, where it has no memory between."""
    if trio is None or number != trio.middle:
        return not schedule.get("between", 0)
    return schedule.get("between", 0) > 0 or all(routine.buffers[b].space != "group" for b in trio.between)


def taken(times: list[list[float]], number: int, trio: Trio | None) -> list[float]:
    """Seconds of a kernel in each variant; infinitely many where another's launch did its work. Of a trio's middle, of
    all three: the others as they are at present, or else as they were beside it."""
    if trio is None:
        return [turn[number] for turn in times]
    if number != trio.middle:
        return [turn[number] or inf for turn in times]
    ends = (trio.first, trio.last)
    return [turn[number] + sum((times[0][i] or turn[i]) if turn[i] else 0.0 for i in ends) for turn in times]


def variant(routine: Routine, menus: dict[int, list[Schedule]], turn: int) -> list[Schedule]:
    """Candidate number `turn` of every kernel; where there is none, the present schedule."""
    chosen = list(routine.schedules)
    for number, schedules in menus.items():
        chosen[number] = schedules[turn] if turn < len(schedules) else schedules[0]
    return chosen


def measured(variants: Sequence[Stepper], rounds: int, kernels: int) -> list[list[float]]:
    """For each variant the median seconds of each kernel."""
    seen: list[list[list[float]]] = [[[] for _ in range(kernels)] for _ in variants]
    for each in variants:
        each.step(1)
    for number in range(rounds):
        for each, times in zip(variants, seen, strict=True):
            sums = [0.0] * kernels
            for call in each.step(2 + number):
                sums[call.kernel] += call.seconds
            for kernel, taken in enumerate(sums):
                times[kernel].append(taken)
    return [[statistics.median(taken) for taken in times] for times in seen]


def decided(routine: Routine, number: int, schedules: list[Schedule], seconds: list[float]) -> Tuned:
    """The fastest, if it is faster by more than noise; what takes less than the clock can tell is none."""
    before = seconds[0]
    best = min(range(len(schedules)), key=lambda i: seconds[i] or inf)
    best = best if seconds[best] < (1 - GAIN) * before else 0
    return Tuned(number, routine.kernels[number], schedules[best], before, seconds[best], len(schedules))
