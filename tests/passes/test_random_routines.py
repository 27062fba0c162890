"""Random programs through fusion, placement and memory: every bit as the reference evaluates the program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.backends.reference.numbers import Array
from jobspec.ir.job import Batches, Job, Part, Phase, Slot, Stream
from jobspec.ir.plan_check import check_routine
from jobspec.ir.program import Program
from jobspec.passes.pipeline import compile_routine, lower_program
from tests.passes.routines import TARGET
from tests.random_programs import arrays_for, programs

CALM = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
LONG = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=4000)


def stateful(program: Program, overwrite: bool) -> Program:
    """`program` with outputs renamed to inputs of their type where `overwrite`: state that is updated in place."""
    free = {n["name"]: n.type for n in program.inputs} if overwrite else {}
    named = []
    for name, node in program.outputs:
        target = next((k for k, t in free.items() if t == node.type), name)
        free.pop(target, None)
        named.append((target, node))
    return Program(program.inputs, tuple(named))


def job_of(program: Program) -> Job:
    """A job whose state is every input and every output of `program`."""
    types = {n["name"]: n.type for n in program.inputs} | {name: n.type for name, n in program.outputs}
    state = tuple(Slot(name, "parameter", kind, ()) for name, kind in types.items())
    batches = Batches(Stream((Part("d"),), "sequence", 0, bytes(32)), 1, ())
    return Job("t", "", "jobspec.f32.v1", 0, (), state, Program((), ()), (Phase("", 1, program, batches),), (), 1, 1, 1)


def state_after(job: Job, inputs: dict[str, Array]) -> dict[str, Array]:
    routine = compile_routine(job, "step", job.phases[0].step, None, TARGET, checked=True)
    check_routine(routine)
    arena = np.full(routine.arena, 0xA5, np.uint8)
    views = {name: view_of(routine.buffers[number], arena, arena) for name, number in routine.slots}
    for name, value in inputs.items():
        views[name][:] = value.ravel()
    view_of(routine.buffers[routine.flag_buffer], arena, arena)[:] = 0
    run_routine(routine, arena, arena)
    return {slot.name: views[slot.name].reshape(slot.type.shape) for slot in job.state}


def check(program: Program, overwrite: bool, inputs: dict[str, Array]) -> None:
    job = job_of(stateful(program, overwrite))
    want = evaluate(lower_program(job.phases[0].step), inputs)
    have = state_after(job, inputs)
    for name, value in want.items():
        view = f"u{value.dtype.itemsize}"
        np.testing.assert_array_equal(have[name].view(view), value.view(view), err_msg=name)


@CALM
@given(programs(), st.booleans(), st.integers(0, 1000), st.booleans())
def test_compiled_programs_keep_every_bit(program: Program, overwrite: bool, seed: int, wild: bool) -> None:
    check(program, overwrite, arrays_for(program, seed, wild))


@pytest.mark.slow
@LONG
@given(programs(steps=30), st.booleans(), st.integers(0, 1000), st.booleans())
def test_many_larger_programs_keep_every_bit(program: Program, overwrite: bool, seed: int, wild: bool) -> None:
    check(program, overwrite, arrays_for(program, seed, wild))
