"""The making of traces: a segment's states step by step, and one step's operations.

Takes: a run's folder, a course of its job, a place. Promises: the segment is computed in the session that is given; the
step is evaluated with the reference semantics from the state that the session came to, and must leave the state
that the session leaves: a backend that is wrong is a MismatchError, not a trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.reference.session import feeds_of
from jobspec.ir.digest import Digest
from jobspec.ir.errors import MismatchError, UsageError
from jobspec.ir.job import Job
from jobspec.ir.program import Program
from jobspec.passes.pipeline import lower_program
from jobspec.runtime.course import Course
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.stops import Looks, closes_record, looks_of
from jobspec.store.checkpoint import state_root
from jobspec.verify.follow import Follower
from jobspec.verify.frames import Frame
from jobspec.verify.segments import Segment, committed, tensors_of
from jobspec.verify.tracefile import SegmentTrace, StepTrace, Values, values_path, write_segment, write_step

Array = NDArray[Any]


def segment_of(segments: Sequence[Segment], step: int) -> Segment:
    """The segment that holds `step`. Raises UsageError E0844."""
    for segment in segments:
        if segment.chain.done <= step < segment.record.step:
            return segment
    if not segments:
        reason = f"there is no step {step} to trace: the run's log is gone, or does not lead to its receipt"
        raise UsageError("E0844", reason, help="give the run's folder as `jobspec run` left it, with its `log`")
    last = segments[-1].record.step - 1
    reason = f"there is no step {step} to trace: the run has the steps 0 … {last}"
    raise UsageError("E0844", reason, help="steps count from 0")


def advance(course: Course, folder: RunFolder, segments: Sequence[Segment], saved: Any, step: int) -> None:
    """Bring the course to the state before `step`, from the newest checkpoint that the chain commits to."""
    there = committed(folder, saved, [s.chain for s in segments])
    for found in reversed([c for c in there if c.chain.done <= step]):
        tensors = tensors_of(folder, found)
        if tensors is not None:
            course.restore(found.chain, tensors)
            break
    else:
        course.begin()
    run_to(course, step)


def run_to(course: Course, step: int) -> None:
    """Run on to the state before `step`, closing records on the way."""
    for portion in course.portions(looks_of(course.job, step, records_only=True)):
        if portion.look and closes_record(course.job, course.chain.done):
            course.record(course.root())


def trace_segment(course: Course, segment: Segment) -> SegmentTrace:
    """The segment step by step; the course stands at its beginning, and stands at its end afterwards."""
    states, rows = [], []
    for portion in course.portions(Looks((1,), segment.record.step, course.job.borders)):
        states.append(course.root())
        rows.append(np.ascontiguousarray(portion.reports, "<f4").tobytes())
    return SegmentTrace(course.hash, segment.number, segment.chain.done, tuple(states), tuple(rows))


@dataclass(frozen=True)
class Traced:
    """A step evaluated: its frame, and the root of the state that it leaves."""

    frame: Frame
    state: Digest


def inputs_of(course: Course, step: int) -> dict[str, Array]:
    """What step `step` is given in the present state: state, batch, number of the step."""
    return {**course.state(), **batch_of(course, step)}


def batch_of(course: Course, step: int) -> dict[str, Array]:
    """What step `step` is given besides the state; it follows from the job and its data."""
    routine, row = course.batch(step)
    return {**feeds_of(routine, row), "step": np.asarray(step, np.int32)}


def program_of(job: Job, step: int) -> Program:
    """The program of step `step`, with no `gradient` left in it."""
    return lower_program(job.phase_of(step + 1).step, job.profile)


def trace_step(follower: Follower, job: Job, step: int, inputs: Mapping[str, Array]) -> Traced:
    """Evaluate one step."""
    program = program_of(job, step)
    results, frame = follower.program(program, [inputs[node["name"]] for node in program.inputs])
    found = dict(zip((name for name, _ in program.outputs), results, strict=True))
    return Traced(frame, state_root({slot.name: found.get(slot.name, inputs[slot.name]) for slot in job.state}))


def write_traces(course: Course, folder: RunFolder, segment: Segment, step: int, values: bool) -> list[Path]:
    """Trace the segment and its step `step`; the course stands at the segment's beginning. The files written. Raises
    MismatchError E0512 where session and reference leave different states."""
    start = course.state()
    traced = trace_segment(course, segment)
    course.restore(segment.chain, start)
    run_to(course, step)
    path = values_path(folder, step)
    with Values(folder.files, path if values else None) as kept:
        inputs = inputs_of(course, step)
        follower = Follower(kept.keep)
        state = tuple(follower.digest(inputs[slot.name]) for slot in course.job.state)
        found = trace_step(follower, course.job, step, inputs)
        _need_same(step, found.state, traced.states[step - segment.chain.done])
    own = write_step(folder, StepTrace(course.hash, step, state, found.frame, kept.places, path))
    return [write_segment(folder, traced), own, *([path] if values else [])]


def _need_same(step: int, reference: Digest, session: Digest) -> None:
    if reference != session:
        reason = f"step {step} leaves the state {session.short} on this backend, and {reference.short} by the reference"
        raise MismatchError("E0512", reason, help="the device or its compiler computes wrongly: `jobspec devices`")
