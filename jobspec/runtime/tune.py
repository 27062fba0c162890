"""The search for schedules: candidates of each kernel measured where the kernel stands, in a step of its job.

Takes: a routine that runs kernel by kernel, its target. Promises: every kernel that takes a share of the step worth the
while is timed with its likeliest schedules, all in turn in every round, so that a machine that drifts drifts for all;
another schedule than the scheduler's is chosen only where it is faster by more than the clock's noise. The values of
the step are the same whichever is tried.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.backends.session import Stepper
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Routine, Schedule
from jobspec.ir.target import Target
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.tuning import key_of

#: a kernel with a smaller share of the step is left as it is; a gain below `GAIN` is noise
SHARE, GAIN = 0.003, 0.02


@dataclass(frozen=True)
class Tuned:
    """A kernel of the routine. `before`, `after`: seconds of all its calls in a step with the scheduler's choice and
    with `schedule`."""

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
    found = [decided(routine, i, schedules, [turn[i] for turn in times]) for i, schedules in menus.items()]
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


def menu(routine: Routine, number: int, target: Target, most: int) -> list[Schedule]:
    """The present schedule, then the likeliest others."""
    present = routine.schedules[number]
    others = (s for s in possible_schedules(routine.kernels[number], target)[:most] if s != present)
    return [present, *others][:most]


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
    """The fastest, if it is faster by more than noise."""
    before = seconds[0]
    best = min(range(len(schedules)), key=lambda i: seconds[i])
    best = best if seconds[best] < (1 - GAIN) * before else 0
    return Tuned(number, routine.kernels[number], schedules[best], before, seconds[best], len(schedules))
