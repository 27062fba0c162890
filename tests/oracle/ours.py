"""Our side of a comparison with PyTorch: some steps of native code, the gradients of the first and last, and the draws.

Takes: a job of any phases (its first is what runs). Promises: the same initial state, batches and random draws for
whoever computes beside us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.workloads import Workload, begun, fields_of, of_kind, state_of
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host
from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.session import Session
from jobspec.ir.job import Job, Slot
from jobspec.ir.program import Node, Program, make
from jobspec.lang.draws import key_words
from jobspec.passes.pipeline import compile_job, lower_program
from jobspec.runtime.batches import Rows

Array = NDArray[Any]
#: behind a parameter's name: its gradient
GRADIENT = "/gradient"
DRAWS = ("uniform", "normal", "random_bits")


@dataclass(frozen=True)
class Moment:
    """The state before a step, and what the step's gradients are before any clipping."""

    step: int
    state: dict[str, Array]
    gradients: dict[str, Array]


@dataclass(frozen=True)
class Ran:
    """The first and the last step, the losses, the batches by field."""

    first: Moment
    last: Moment
    losses: Array
    batches: list[dict[str, Array]]


def ran(work: Workload, steps: int, cache: Path, given: Mapping[str, Array] = {}) -> Ran:
    """The first `steps` steps, three at least. `given`: what the job begins with and does not make itself."""
    work = replace(work, job=keeping_gradients(work.job))
    plan = compile_job(work.job, host())
    # the bits are those of every level, and for so few steps making the code is what takes long
    session = LlvmSession(plan, 1, Compiler(host(), 0, cache))
    made, rows = begun(session, work.job), work.rows(plan, 0, steps)
    for name, value in given.items():
        session.write(name, value)
    before = made | given
    first, losses = moment(session, work.job, 0, before, rows[:1])
    more = stepped(session, work.job, 1, rows[1:-1])
    last, end = moment(session, work.job, steps - 1, state_of(session, work.job), rows[-1:])
    session.close()
    batches = [fields_of(work.job, plan.routine(work.job.step_names[0]), row) for row in rows]
    return Ran(first, last, np.concatenate([losses, more, end]), batches)


def moment(session: Session, job: Job, step: int, before: dict[str, Array], row: Rows) -> tuple[Moment, Array]:
    losses = stepped(session, job, step, row)
    after = state_of(session, job)
    gradients = {name.removesuffix(GRADIENT): a for name, a in after.items() if name.endswith(GRADIENT)}
    return Moment(step, before, gradients), losses


def stepped(session: Session, job: Job, first: int, rows: Rows) -> Array:
    """The losses."""
    outcome = session.run(job.step_names[0], first, rows)
    assert not outcome.flags, outcome.flags
    losses: Array = outcome.reports[:, 0]
    return losses


def keeping_gradients(job: Job) -> Job:
    """The job's first phase alone, with each parameter's gradient as state beside it."""
    phase = job.phases[0]
    found = {node.args[1]["name"]: node for node in phase.step.nodes() if node.op == "gradient"}
    held = [(replace(job.slot(name), name=name + GRADIENT, kind="optimizer"), g) for name, g in found.items()]
    outputs = dict(phase.step.outputs) | {slot.name: g for slot, g in held}
    step = Program((*phase.step.inputs, *(as_input(s) for s, _ in held)), tuple(outputs.items()))
    init = Program(job.init.inputs, (*job.init.outputs, *((s.name, zeros(s)) for s, _ in held)))
    state = (*job.state, *(s for s, _ in held))
    return replace(job, state=state, init=init, phases=(replace(phase, name="", step=step),), evaluations=())


def as_input(slot: Slot) -> Node:
    return make("input", name=slot.name, dtype=slot.type.dtype, shape=slot.type.shape)


def zeros(slot: Slot) -> Node:
    zero = make("const", dtype="f32", shape=(), bits=(0,))
    return make("broadcast", zero, shape=slot.type.shape, axes=()) if slot.type.shape else zero


def draws(job: Job, step: int, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, Array]:
    """What step `step` draws, by the names in `wanted`: name → (the label path…, the number of the draw there)."""
    drawn = {words_of(node): node for node in job.phases[0].step.nodes() if node.op in DRAWS}
    paths = {name: (*path[:-1], "draw", path[-1]) for name, path in wanted.items()}
    return {name: value(drawn[key_words(job.seed, path)], step) for name, path in paths.items()}


def words_of(draw: Node) -> tuple[int, int]:
    first, second = (next(constants(node)) for node in draw.args[4:6])
    return first, second


def constants(node: Node) -> Iterator[int]:
    if node.op == "const":
        yield node["bits"][0]
    for arg in node.args:
        yield from constants(arg)


def value(draw: Node, step: int) -> Array:
    number = make("input", name="step", dtype="i32", shape=())
    program = lower_program(Program((number,), (("drawn", draw),)))
    return evaluate(program, {"step": np.asarray(step, np.int32)})["drawn"]


def kept_by_layers(work: Workload, state: Mapping[str, Array]) -> dict[str, Array]:
    return of_kind(state, work.job, "layer")


def weights(work: Workload, state: Mapping[str, Array]) -> dict[str, Array]:
    return of_kind(state, work.job, "parameter")
