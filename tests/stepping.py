"""Steppers of devices: what is timed is what a session runs, and no schedule changes a bit.

Takes: a stepper behind `init` and its session. Promises: `as_session` compares memory after a step with what a
session's step leaves; `candidates_agree` runs the step with every candidate of every kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.routine import render_routine
from jobspec.backends.c.stepper import DeviceStepper
from jobspec.ir.target import Target
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.tune import variant

Bytes = NDArray[np.uint8]


def arena(stepper: DeviceStepper) -> Bytes:
    found = np.empty(stepper.routine.arena, np.uint8)
    stepper.session.take(0, found)
    return found


def as_session(stepper: DeviceStepper, row: Bytes) -> None:
    before = arena(stepper)
    calls = stepper.step(5)
    timed = arena(stepper)
    stepper.session.put(0, before)
    stepper.session.run(stepper.routine.name, 5, row.reshape(1, -1))
    assert timed.tobytes() == arena(stepper).tobytes() != before.tobytes()
    kernels = render_routine(stepper.routine, stepper.session.dialect).kernels
    assert {call.kernel for call in calls} == {number for number, launches in enumerate(kernels) if launches}
    assert all(call.seconds > 0 for call in calls)
    assert [call.begun for call in calls] == sorted(call.begun for call in calls)


def candidates_agree(stepper: DeviceStepper, target: Target, most: int) -> int:
    """How many were tried in each place."""
    before = arena(stepper)
    stepper.step(0)
    wanted = arena(stepper).tobytes()
    menus = {i: possible_schedules(kernel, target)[:most] for i, kernel in enumerate(stepper.routine.kernels)}
    turns = max(map(len, menus.values()))
    for turn in range(1, turns):
        other = stepper.scheduled(variant(stepper.routine, menus, turn))
        stepper.session.put(0, before)
        other.step(0)
        assert arena(stepper).tobytes() == wanted, f"candidate {turn}"
        other.close()
    return turns
