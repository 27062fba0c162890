"""Plans as canonical bytes, and the plan hash.

Takes: a plan and the versions of what turns it into code, or bytes that may come from anywhere. Promises:
`decode_plan(encode_plan(plan)) == plan`; the hash is over the job's hash, the target, every schedule,
kernel, place and order, and the compilers; it does not depend on the machine that computes it, on its
number of cores, or on anything of the surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobspec.ir.canonical import CanonicalError, Limits, Value, decode, encode
from jobspec.ir.codec.kernel import kernel_value, read_kernel
from jobspec.ir.codec.parts import Parts, part_digests, root_of
from jobspec.ir.codec.values import (
    as_bytes,
    as_text,
    distinct,
    keys,
    read_each,
    read_type,
    require,
    root_value,
    type_value,
)
from jobspec.ir.digest import Digest
from jobspec.ir.plan import Barrier, Buffer, Call, Plan, Routine, Schedule, Steps, Turns
from jobspec.ir.record import Record, RecordError, as_array, as_integer
from jobspec.ir.target import Target
from jobspec.ir.types import SIZES

FORMAT = 1
LIMITS = Limits(size=256 << 20, depth=32, items=16 << 20)
SPACES = ("arena", "feed", "group")

PLAN_KEYS = keys("format job profile target routines")
TARGET_KEYS = keys("backend cpu features lanes registers l1 l2 l3")
BUFFER_KEYS = keys("name type space offset")
ROUTINE_KEYS = keys(
    "name kernels schedules buffers steps slots feeds constants reports flags flag_buffer step arena feed"
)

#: (name, version) of each program whose change may change the code a plan becomes
Compilers = Sequence[tuple[str, str]]


class PlanFormatError(ValueError):
    """Bytes that are not a plan in its canonical form."""


def plan_hash(plan: Plan, compilers: Compilers) -> Digest:
    """What will run: equal for equal jobs, targets, schedules and compilers."""
    return root_of("plan", plan_parts(plan, compilers))


def plan_parts(plan: Plan, compilers: Compilers) -> Parts:
    """The named parts of the plan hash, with their digests."""
    values: list[tuple[str, Value]] = [
        ("job", root_value(plan.job)),
        ("profile", plan.profile),
        ("target", target_value(plan.target)),
        ("compilers", [[name, version] for name, version in compilers]),
    ]
    for routine in plan.routines:
        values += _routine_parts(routine)
    return part_digests("plan", values)


def _routine_parts(routine: Routine) -> list[tuple[str, Value]]:
    whole = dict(routine_value(routine))
    kernels, schedules, steps = whole.pop("kernels"), whole.pop("schedules"), whole.pop("steps")
    named = {"kernels": kernels, "schedules": schedules, "order": steps, "memory": whole}
    return [(f"{routine.name}: {part}", value) for part, value in named.items()]


def encode_plan(plan: Plan) -> bytes:
    return encode(plan_value(plan))


def plan_value(plan: Plan) -> Value:
    return {
        "format": FORMAT,
        "job": root_value(plan.job),
        "profile": plan.profile,
        "target": target_value(plan.target),
        "routines": [routine_value(routine) for routine in plan.routines],
    }


def target_value(target: Target) -> Value:
    return {
        "backend": target.backend,
        "cpu": target.cpu,
        "features": target.features,
        "lanes": target.lanes,
        "registers": target.registers,
        "l1": target.l1,
        "l2": target.l2,
        "l3": target.l3,
    }


def routine_value(routine: Routine) -> dict[str, Value]:
    return {
        "name": routine.name,
        "kernels": [kernel_value(kernel) for kernel in routine.kernels],
        "schedules": [[[name, n] for name, n in schedule.choices] for schedule in routine.schedules],
        "buffers": [_buffer_value(buffer) for buffer in routine.buffers],
        "steps": _steps_value(routine.steps),
        "slots": _named_value(routine.slots),
        "feeds": _named_value(routine.feeds),
        "constants": [[buffer, data] for buffer, data in routine.constants],
        "reports": _named_value(routine.reports),
        "flags": list(routine.flags),
        "flag_buffer": routine.flag_buffer,
        "step": routine.step,
        "arena": routine.arena,
        "feed": routine.feed,
    }


def _buffer_value(buffer: Buffer) -> Value:
    return {"name": buffer.name, "type": type_value(buffer.type), "space": buffer.space, "offset": buffer.offset}


def _named_value(pairs: tuple[tuple[str, int], ...]) -> Value:
    return [[name, buffer] for name, buffer in pairs]


def _steps_value(steps: Steps) -> Value:
    """A call is its kernel's number, a barrier is null, turns are [count, reverse, steps]."""
    return [_step_value(step) for step in steps]


def _step_value(step: Call | Barrier | Turns) -> Value:
    if isinstance(step, Call):
        return step.kernel
    if isinstance(step, Barrier):
        return None
    return [step.count, step.reverse, _steps_value(step.steps)]


def decode_plan(data: bytes) -> Plan:
    """The plan whose canonical bytes are `data`. Raises PlanFormatError with the reason."""
    try:
        plan = read_plan(decode(data, LIMITS))
        require(encode_plan(plan) == data, "its bytes are not in their canonical form")
        return plan
    except (CanonicalError, RecordError) as error:
        raise PlanFormatError(f"not a plan: {error}") from error


def read_plan(value: Value) -> Plan:
    record = Record(value, "the plan", PLAN_KEYS)
    record.integer("format", FORMAT, FORMAT)
    routines = read_each(record.get("routines"), "routine", _read_routine)
    distinct((routine.name for routine in routines), "the routine")
    begins = [r.name.partition(".")[0] for r in routines[:2]] == ["init", "step"]
    require(begins, "the plan does not begin with `init` and a step")
    target = _read_target(record.get("target"))
    return Plan(str(record.digest("job")), record.text("profile"), target, routines)


def _read_target(value: Value) -> Target:
    record = Record(value, "the target", TARGET_KEYS)
    return Target(
        record.text("backend"),
        record.text("cpu"),
        record.text("features"),
        *(record.integer(key, 1) for key in ("lanes", "registers")),
        *(record.integer(key) for key in ("l1", "l2", "l3")),
    )


def _read_routine(value: Value, what: str) -> Routine:
    record = Record(value, what, ROUTINE_KEYS)
    buffers = read_each(record.get("buffers"), f"{what}: buffer", _read_buffer)
    last = len(buffers) - 1
    kernels = read_each(record.get("kernels"), f"{what}: kernel", read_kernel)
    schedules = read_each(record.get("schedules"), f"{what}: schedule", _read_schedule)
    require(len(schedules) == len(kernels), f"{what} has not one schedule per kernel")
    return Routine(
        name=record.text("name"),
        kernels=kernels,
        schedules=schedules,
        buffers=buffers,
        steps=_read_steps(record.get("steps"), f"{what}: steps", len(kernels)),
        slots=_read_named(record, "slots", last),
        feeds=_read_named(record, "feeds", last),
        constants=read_each(record.get("constants"), f"{what}: constant", _read_constant),
        reports=_read_named(record, "reports", last),
        flags=read_each(record.get("flags"), f"{what}: flag", as_text),
        flag_buffer=record.integer("flag_buffer", -1, last),
        step=record.integer("step", -1, last),
        arena=record.integer("arena"),
        feed=record.integer("feed"),
    )


def _read_buffer(value: Value, what: str) -> Buffer:
    record = Record(value, what, BUFFER_KEYS)
    space = record.text("space")
    require(space in SPACES, f"{what} is in the unknown space `{space}`")
    return Buffer(record.text("name"), read_type(record.get("type"), what, SIZES), space, record.integer("offset"))


def _read_schedule(value: Value, what: str) -> Schedule:
    return Schedule(read_each(value, what, _read_choice))


def _read_choice(value: Value, what: str) -> tuple[str, int]:
    name, number = as_array(value, what, 2)
    return as_text(name, what), as_integer(number, what, -(1 << 63))


def _read_named(record: Record, key: str, last: int) -> tuple[tuple[str, int], ...]:
    pairs = read_each(record.get(key), key, _read_choice)
    distinct((name for name, _ in pairs), f"{key}: the name")
    require(all(0 <= buffer <= last for _, buffer in pairs), f"`{key}` names a buffer that is not there")
    return pairs


def _read_constant(value: Value, what: str) -> tuple[int, bytes]:
    buffer, data = as_array(value, what, 2)
    return as_integer(buffer, what), as_bytes(data, what)


def _read_steps(value: Value, what: str, kernels: int) -> Steps:
    return tuple(_read_step(step, what, kernels) for step in as_array(value, what))


def _read_step(value: Value, what: str, kernels: int) -> Call | Barrier | Turns:
    if value is None:
        return Barrier()
    if isinstance(value, list):
        count, reverse, steps = as_array(value, what, 3)
        require(isinstance(reverse, bool), f"{what}: a direction that is neither true nor false")
        return Turns(as_integer(count, what, 1), bool(reverse), _read_steps(steps, what, kernels))
    return Call(as_integer(value, what, 0, kernels - 1))
