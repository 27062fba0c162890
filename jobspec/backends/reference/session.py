"""A session that evaluates the job's programs as they are written.

Takes: a plan for its layout, the job with no `gradient` left in its programs. Promises: the meaning, to
the bit, behind the same face as every backend; slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.numbers import NUMPY
from jobspec.backends.session import Outcome
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.program import Program

Array = NDArray[Any]

COMPILERS = (("reference", "1"),)
#: the reference's error for an index outside its axis
OUTSIDE = "E0501"


def open_session(plan: Plan, job: Job, threads: int, cache: Path) -> ReferenceSession:
    """A session for `job`, its programs lowered; neither threads nor compiled code are of use to it."""
    return ReferenceSession(plan, job)


class ReferenceSession:
    """One job's state, in numpy arrays."""

    def __init__(self, plan: Plan, job: Job) -> None:
        self._routines = {routine.name: routine for routine in plan.routines}
        self._programs: dict[str, Program] = {name: program for name, program, _ in job.programs}
        self._state: dict[str, Array] = {s.name: np.zeros(s.type.shape, NUMPY[s.type.dtype]) for s in job.state}

    def write(self, slot: str, value: Array) -> None:
        held = self._state[slot]
        assert value.dtype == held.dtype and value.shape == held.shape, f"`{slot}` takes {held.dtype}{held.shape}"
        self._state[slot] = value.copy()

    def read(self, slot: str) -> Array:
        return self._state[slot].copy()

    def peek(self, slot: str) -> Array:
        return self._state[slot]

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        layout = self._routines[routine]
        reports = np.zeros((len(feeds), len(layout.reports)), np.float32)
        for done, row in enumerate(feeds):
            try:
                reports[done], flags = self._turn(layout, first + done, row)
            except JobspecError as error:
                if error.code != OUTSIDE:
                    raise
                flags = (error.reason,)
            if flags:
                return Outcome(reports[: done + 1], done + 1, flags)
        return Outcome(reports, len(feeds), ())

    def close(self) -> None:
        self._state = {}

    def _turn(self, layout: Routine, step: int, row: NDArray[np.uint8]) -> tuple[list[Array], tuple[str, ...]]:
        """One evaluation of a routine's program: its reports, and what it raises."""
        given: dict[str, Array] = {**self._state, **feeds_of(layout, row), "step": np.asarray(step, np.int32)}
        found = evaluate(self._programs[layout.name], given)
        kept = {name: found[name] for name in self._state if name in found}
        self._state |= kept
        return [found[name] for name, _ in layout.reports], _nonfinite(layout, kept)


def feeds_of(layout: Routine, row: NDArray[np.uint8]) -> dict[str, Array]:
    """The batch's tensors out of its bytes."""
    places = {name: layout.buffers[number] for name, number in layout.feeds}
    return {
        name: row[b.offset : b.offset + b.type.nbytes].view(NUMPY[b.type.dtype]).reshape(b.type.shape)
        for name, b in places.items()
    }


def _nonfinite(layout: Routine, state: Mapping[str, Array]) -> tuple[str, ...]:
    """The flags of float slots that hold a NaN or infinity, in the plan's order."""
    bad = {name for name, x in state.items() if x.dtype == np.float32 and not np.isfinite(x).all()}
    return tuple(flag for flag in layout.flags if flag.removeprefix("nonfinite: ") in bad)
