"""Where state and batches lie: one layout for every plan, compiled or interpreted.

Takes: a job. Promises: slots come first in the arena, in state order, at the same place in every
routine, so that a step hands its state to the next and to an evaluation without a copy; feeds fill a block
of their own per batch; everything starts on a 64-byte line.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.ir.codec.job import job_hash
from jobspec.ir.job import Batches, Job, Slot
from jobspec.ir.plan import Buffer, Plan, Routine
from jobspec.ir.program import Program
from jobspec.ir.target import Target
from jobspec.ir.types import Type

LINE = 64
#: what a NaN or infinity in a slot raises; the slot's name follows
NONFINITE = "nonfinite: "


def aligned(size: int) -> int:
    """`size` bytes rounded up to whole lines."""
    return -(-size // LINE) * LINE


def laid_out(space: str, types: Iterable[tuple[str, Type]], offset: int = 0) -> tuple[tuple[Buffer, ...], int]:
    """Buffers one after another from `offset` of `space`, and where the last one ends."""
    buffers = []
    for name, type in types:
        buffers.append(Buffer(name, type, space, offset))
        offset += aligned(type.nbytes)
    return tuple(buffers), offset


def slot_buffers(state: Iterable[Slot]) -> tuple[tuple[Buffer, ...], int]:
    """The state at the start of the arena, and its bytes."""
    return laid_out("arena", ((slot.name, slot.type) for slot in state))


def feed_buffers(batches: Batches | None) -> tuple[tuple[Buffer, ...], int]:
    """One batch in the feed space, and its bytes; nothing for a program without a batch."""
    feeds = batches.feeds if batches else ()
    return laid_out("feed", ((feed.name, feed.type) for feed in feeds))


def interpreted_plan(job: Job, target: Target) -> Plan:
    """The plan of a backend that evaluates programs as they are: layout and names, no kernels."""
    routines = [interpreted_routine(job, name, program, batches) for name, program, batches in job.programs]
    return Plan(str(job_hash(job)), job.profile, target, tuple(routines))


def interpreted_routine(job: Job, name: str, program: Program, batches: Batches | None) -> Routine:
    """One program's layout: slots, feeds, then reports, flags and the step number."""
    slots, state = slot_buffers(job.state)
    feeds, feed = feed_buffers(batches)
    flags = nonfinite_flags(job) if makes_state(job, program) else ()
    reported = reported_by(job, program)
    runner = [("flags", Type("i32", (max(1, len(flags)),))), ("step", Type("i32"))]
    rest, arena = laid_out("arena", [*((name, Type("f32")) for name in reported), *runner], state)
    buffers = (*slots, *feeds, *rest)
    number = {id(buffer): i for i, buffer in enumerate(buffers)}
    return Routine(
        name=name,
        kernels=(),
        schedules=(),
        buffers=buffers,
        steps=(),
        slots=tuple((b.name, number[id(b)]) for b in slots),
        feeds=tuple((b.name, number[id(b)]) for b in feeds),
        constants=(),
        reports=tuple((b.name, number[id(b)]) for b in rest[: len(reported)]),
        flags=flags,
        flag_buffer=len(buffers) - 2,
        step=len(buffers) - 1,
        arena=arena,
        feed=feed,
    )


def nonfinite_flags(job: Job) -> tuple[str, ...]:
    """One flag per float slot, in state order."""
    return tuple(NONFINITE + slot.name for slot in job.state if slot.type.dtype == "f32")


def makes_state(job: Job, program: Program) -> bool:
    """Whether `program` gives slots: `init` and the steps do, evaluations do not."""
    return len(reported_by(job, program)) < len(program.outputs)


def reported_by(job: Job, program: Program) -> list[str]:
    """Outputs of `program` that are no slots."""
    slots = {slot.name for slot in job.state}
    return [name for name, _ in program.outputs if name not in slots]
