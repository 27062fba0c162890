"""Programs run as compiled routines on the kernel interpreter, beside their plain evaluation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.backends.reference.numbers import Array
from jobspec.ir.job import Batches, Feed, Job, Part, Phase, Slot, Stream
from jobspec.ir.plan import Routine
from jobspec.ir.plan_check import check_routine
from jobspec.ir.program import Node, Program, make
from jobspec.ir.target import Target
from jobspec.passes.pipeline import compile_routine, lower_program

TARGET = Target("llvm", "generic", "", lanes=16)


def given(name: str, *shape: int, dtype: str = "f32") -> Node:
    return make("input", name=name, dtype=dtype, shape=shape)


def job_of(program: Program) -> Job:
    """A job whose step is `program`: inputs that are also outputs are state, u8 inputs are feeds."""
    outputs = dict(program.outputs)
    state = [
        Slot(n["name"], "parameter", n.type, ()) for n in program.inputs if n["name"] != "step" and n.dtype != "u8"
    ]
    feeds = tuple(Feed(n["name"], "x", n.type) for n in program.inputs if n.dtype == "u8")
    whole = [
        *program.outputs,
        *((s.name, next(i for i in program.inputs if i["name"] == s.name)) for s in state if s.name not in outputs),
    ]
    step = Program(program.inputs, tuple(whole))
    empty = Program((), ())
    batches = Batches(Stream((Part("d"),), "sequence", 0, bytes(32)), 1, feeds)
    return Job("t", "", "jobspec.f32.v1", 0, (), tuple(state), empty, (Phase("", 1, step, batches),), (), 1, 1, 1)


def compiled(program: Program) -> tuple[Job, Routine]:
    job = job_of(program)
    routine = compile_routine(job, "step", job.phases[0].step, job.phases[0].batches, TARGET, checked=True)
    check_routine(routine)
    return job, routine


def run_compiled(program: Program, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """State after one step, and reports, from the routine that the passes make of `program`."""
    job, routine = compiled(program)
    arena, feed = np.full(routine.arena, 0xA5, np.uint8), np.zeros(max(1, routine.feed), np.uint8)
    views = {b.name: view_of(b, arena, feed) for b in routine.buffers}
    numbers = dict(routine.slots) | dict(routine.feeds)
    for name, number in numbers.items():
        view_of(routine.buffers[number], arena, feed)[:] = inputs[name].ravel()
    views["step"][:] = inputs.get("step", 0)
    view_of(routine.buffers[routine.flag_buffer], arena, feed)[:] = 0
    reports = run_routine(routine, arena, feed)
    state = {s.name: view_of(routine.buffers[numbers[s.name]], arena, feed).reshape(s.type.shape) for s in job.state}
    return state | {name: np.array(value) for name, value in reports.items()}


def assert_same_bits(program: Program, inputs: Mapping[str, Array]) -> None:
    """The compiled routine and the evaluation of the program agree in every bit of every output."""
    want = evaluate(lower_program(job_of(program).phases[0].step), inputs)
    have = run_compiled(program, inputs)
    for name, value in want.items():
        np.testing.assert_array_equal(bits(have[name]), bits(value), err_msg=name)


def bits(x: Array) -> Array:
    return x.view(np.uint32) if x.dtype == np.float32 else x


def random_inputs(program: Program, seed: int = 0) -> dict[str, Array]:
    """Normal numbers for f32, small integers for the rest."""
    rng = np.random.default_rng(seed)
    return {
        n["name"]: rng.standard_normal(n.shape).astype(np.float32)
        if n.dtype == "f32"
        else rng.integers(0, 5, n.shape).astype({"u8": np.uint8, "i32": np.int32}[n.dtype])
        for n in program.inputs
    }
