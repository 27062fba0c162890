"""Measured schedules: what `jobspec tune` found, kept by kernel and target, and put into plans that ask for it.

Takes: a store. Promises: a schedule belongs to one kernel (its axes and body, whatever buffers it works on) on one
target; one that the kernel could not have been given by the scheduler is not taken, wherever it comes from; so nothing
kept here can change a bit of a result. A file that cannot be read is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jobspec.ir.canonical import CanonicalError, Limits, Value, decode, encode
from jobspec.ir.codec.kernel import kernel_value
from jobspec.ir.codec.plan import target_value
from jobspec.ir.codec.values import keys
from jobspec.ir.digest import Digest, digest_value
from jobspec.ir.kernel import VIEWS, Inst, Kernel, View
from jobspec.ir.later import later
from jobspec.ir.plan import Plan, Routine, Schedule
from jobspec.ir.record import Record, RecordError, as_array, as_integer
from jobspec.ir.target import Target
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import Home

if TYPE_CHECKING:
    from jobspec.passes.schedule import choose_schedule, possible_schedules
else:
    choose_schedule = later("jobspec.passes.schedule", "choose_schedule")
    possible_schedules = later("jobspec.passes.schedule", "possible_schedules")

FORMAT = 1
LIMITS = Limits(size=4096, depth=4, items=256)
KEYS = keys("format schedule")

#: kernel, target → its schedule, None for the scheduler's own
Known = Callable[[Kernel, Target], Schedule | None]


@dataclass(frozen=True)
class Tunings:
    """The schedules kept in `home`."""

    home: Home

    def __call__(self, kernel: Kernel, target: Target) -> Schedule | None:
        """What is known of a kernel."""
        try:
            data = (self.home.tunings / key_of(kernel, target).hex).read_bytes()
            record = Record(decode(data, LIMITS), "a tuning", KEYS)
            record.integer("format", FORMAT, FORMAT)
            found = Schedule(tuple(choice(pair) for pair in record.array("schedule")))
        except (OSError, CanonicalError, RecordError):
            return None
        return found if found in possible_schedules(kernel, target) else None

    def keep(self, kernel: Kernel, target: Target, schedule: Schedule) -> None:
        data = encode({"format": FORMAT, "schedule": [[name, number] for name, number in schedule.choices]})
        self.home.tunings.mkdir(parents=True, exist_ok=True)
        write_file(FileLayer(), self.home.tunings / key_of(kernel, target).hex, [data])


def choice(pair: Value) -> tuple[str, int]:
    name, number = as_array(pair, "a choice", 2)
    if not isinstance(name, str):
        raise RecordError("a choice has no name")
    return name, as_integer(number, name)


def key_of(kernel: Kernel, target: Target) -> Digest:
    """Equal for kernels that differ in names, in the buffers they work on, where in these the turns of loops around
    them begin, and in the flags they raise alone."""
    return digest_value("kernel.tuning", [target_value(target), kernel_value(unplaced(kernel))])


def unplaced(kernel: Kernel) -> Kernel:
    """`kernel` with buffers numbered as its body names them first."""
    numbers: dict[int, int] = {}
    body = []
    for inst in kernel.body:
        attrs = tuple((name, renumbered(name, value, numbers)) for name, value in inst.attrs)
        body.append(Inst(inst.op, inst.args, inst.dtype, attrs))
    return Kernel("", kernel.kind, kernel.axes, tuple(body))


def renumbered(name: str, value: object, numbers: dict[int, int]) -> object:
    if name in VIEWS and isinstance(value, View):
        return replace(value, buffer=numbers.setdefault(value.buffer, len(numbers)), offset=0, turns=())
    if name == "flag" and isinstance(value, int):
        return min(value, 0)
    return value


def tuned(plan: Plan, known: Known) -> Plan:
    """`plan` with the schedules that are known."""
    return replace(plan, routines=tuple(tuned_routine(routine, plan.target, known) for routine in plan.routines))


def tuned_routine(routine: Routine, target: Target, known: Known) -> Routine:
    pairs = zip(routine.kernels, routine.schedules, strict=True)
    return replace(routine, schedules=tuple(known(kernel, target) or schedule for kernel, schedule in pairs))


@dataclass(frozen=True)
class Carried:
    """What a plan says of its kernels where the scheduler would say something else, for whoever has the kernels and not
    the plan. `target`: the plan's; None where it says nothing."""

    target: Target | None = None
    schedules: tuple[tuple[Digest, Schedule], ...] = ()

    def __call__(self, kernel: Kernel, target: Target) -> Schedule | None:
        found = dict(self.schedules).get(key_of(kernel, target)) if target == self.target else None
        return found if found in possible_schedules(kernel, target) else None


def carried(plan: Plan) -> Carried:
    target, found = plan.target, dict[Digest, Schedule]()
    for routine in plan.routines:
        for kernel, schedule in zip(routine.kernels, routine.schedules, strict=True):
            if schedule != choose_schedule(kernel, target):
                found[key_of(kernel, target)] = schedule
    return Carried(target, tuple(found.items())) if found else Carried()


def may_stand_for(given: Plan, made: Plan) -> bool:
    """Whether `given` is `made` but for schedules that its kernels could have been given."""
    if replace(given, routines=()) != replace(made, routines=()) or len(given.routines) != len(made.routines):
        return False
    return all(same_but_for_schedules(g, m, made.target) for g, m in zip(given.routines, made.routines, strict=True))


def same_but_for_schedules(given: Routine, made: Routine, target: Target) -> bool:
    if replace(given, schedules=made.schedules) != made:
        return False
    return all(
        schedule == own or schedule in possible_schedules(kernel, target)
        for kernel, schedule, own in zip(made.kernels, given.schedules, made.schedules, strict=True)
    )
