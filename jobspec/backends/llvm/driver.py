"""A routine as native code: its kernels, and the function that runs them step by step in every thread.

Takes: a routine of a plan and the target. Promises: `modules` gives the texts to compile, one per distinct kernel
and one for the team, whose entry is @run (team.py). The share of a thread is a run of neighbouring
tasks; which thread does a task changes no bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from jobspec.backends.llvm import team
from jobspec.backends.llvm.builder import int_of
from jobspec.backends.llvm.convention import Native, Phase, turn_count
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.machine import triple
from jobspec.backends.llvm.meetings import Meetings
from jobspec.backends.llvm.values import Value
from jobspec.backends.llvm.written import Written
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Steps, Turns
from jobspec.ir.target import Target

#: a size of teams that is never free to go on
MOST_LOOKED_AT = 63
#: for hundreds of calls in a row, on which LLVM would spend the time of dozens of kernels and win nothing
UNPOLISHED = "noinline optnone"
_PARAMS = [("ptr", name) for name in ("arena", "feed", "shared", "private", "control")]


@dataclass
class Driver:
    """What is said of the routine's kernels is known once `modules` has been gone through."""

    routine: Routine
    target: Target

    @cached_property
    def kernels(self) -> Written:
        return Written(self.routine, self.target)

    def modules(self) -> Iterator[str]:
        """Texts to compile, each as soon as it is written; the last is the team's."""
        yield from self.kernels.texts()
        yield self._team(self.routine.buffers).text()

    @property
    def shared(self) -> int:
        """Bytes that all threads see: no two kernels use them between the same two barriers."""
        return max((native.shared for native in self.kernels.natives), default=0)

    @property
    def private(self) -> int:
        """Bytes per thread."""
        return max((native.private for native in self.kernels.natives), default=0)

    @property
    def work(self) -> int:
        """Vector instructions of one step, roughly."""
        return _work(self.routine.steps, self.kernels.natives)

    def _team(self, where: Sequence[Buffer]) -> Module:
        module = Module(self.target)
        system, step = triple(), self.routine.step
        for result, name, params in team.declared(system):
            module.declare(result, name, params)
        for function in team.team(where[step].offset if step >= 0 else -1, system, self.work):
            module.add(function)
        self._add_steps(module)
        self._add_settle(module, where)
        return module

    def _add_steps(self, module: Module) -> None:
        """@steps: this thread's share of one step."""
        params = [*_PARAMS, ("i64", "thread"), ("i64", "team")]
        f = Function(module, "steps", params, internal=True, attributes=UNPOLISHED)
        module.add(f)
        self._run(f, self.routine.steps, (), iter(Meetings(self.routine, self.kernels.natives).free()))
        f.ret()

    def _run(self, f: Function, steps: Steps, turns: tuple[Value, ...], free: Iterator[int]) -> None:
        """`free`: for each barrier to come the teams that need not meet there."""
        for i, step in enumerate(steps):
            if isinstance(step, Barrier):
                _meet_unless(f, next(free))
            elif isinstance(step, Call):
                guarded = i + 1 < len(steps) and isinstance(steps[i + 1], Barrier)
                self._call(f, step.kernel, turns, guarded)
            else:
                self._turns(f, step, turns, free)

    def _turns(self, f: Function, step: Turns, outer: tuple[Value, ...], free: Iterator[int]) -> None:
        def turn(number: Value) -> None:
            self._run(f, step.steps, (*outer, f.isub(step.count - 1, number) if step.reverse else number), free)

        f.loop(0, step.count, 1, turn)

    def _call(self, f: Function, number: int, turns: tuple[Value, ...], guarded: bool) -> None:
        """All phases of a kernel. After several, the scratch they share must not be used before all are done."""
        phases = self.kernels.natives[number].phases
        given = (self._table(f.module, number), *turns[: turn_count(self.routine.kernels[number])])
        for i, phase in enumerate(phases):
            _share(f, phase, given)
            if len(phases) > 1 and not (guarded and i == len(phases) - 1):
                _meet(f)

    def _table(self, module: Module, number: int) -> Value:
        """Where what a kernel touches lies."""
        offsets = self.kernels.tables[number]
        entries = ", ".join(f"i64 {offset}" for offset in offsets)
        module.define(f"where.{number}", f"internal constant [{len(offsets)} x i64] [{entries}]")
        return Value("ptr", f"@where.{number}")

    def _add_settle(self, module: Module, where: Sequence[Buffer]) -> None:
        """@settle: copy the reports of a step, and tell whether a flag is raised."""
        f = Function(module, "settle", [("ptr", "arena"), ("ptr", "report")], "i32", internal=True)
        module.add(f)
        arena, report = f.params
        for i, (_, buffer) in enumerate(self.routine.reports):
            f.store(f.load("i32", f.offset(arena, where[buffer].offset)), f.offset(report, 4 * i))
        raised = Value("i32", "0")
        for i in range(len(self.routine.flags)):
            word = f.load("i32", f.offset(arena, where[self.routine.flag_buffer].offset + 4 * i))
            raised = f.or_(raised, word)
        f.ret(raised)


def _share(f: Function, phase: Phase, given: tuple[Value, ...]) -> None:
    """Call a phase for this thread's tasks: from t * work / team to (t + 1) * work / team. `given`: what every thread
    gives it."""
    thread = f.params[5]
    lo, hi = _begins(f, phase, thread), _begins(f, phase, f.iadd(thread, 1))
    args = (*f.params[:4], lo, hi, *given)
    f.module.declare("void", phase.symbol, tuple(a.type for a in args))
    f.call("void", phase.symbol, args)


def _begins(f: Function, phase: Phase, thread: Value) -> Value:
    """The first task of a thread."""
    light, team_ = phase.light, f.params[6]
    if light is None:
        return f.udiv(f.imul(thread, phase.tasks), team_)
    before = light.first * light.full
    work = f.udiv(f.imul(thread, before + (phase.tasks - light.first) * light.less), team_)
    behind = f.iadd(f.udiv(f.isub(work, before), light.less), light.first)
    return f.select(f.icmp("slt", work, before), f.udiv(work, light.full), behind)


def _meet(f: Function) -> None:
    f.call("void", "barrier", (f.params[4], f.params[6]))


def _meet_unless(f: Function, free: int) -> None:
    """Meet, in teams of all sizes but those whose bit is set."""
    if not free:
        return _meet(f)
    team = f.smin(f.params[6], MOST_LOOKED_AT)
    bit = f.and_(f.binary("lshr", int_of(free), team), int_of(1))
    f.when(f.icmp("eq", bit, 0), lambda: _meet(f))


def _work(steps: Steps, natives: Sequence[Native]) -> int:
    total = 0
    for step in steps:
        if isinstance(step, Call):
            total += sum(phase.tasks * phase.weight for phase in natives[step.kernel].phases)
        elif not isinstance(step, Barrier):
            total += step.count * _work(step.steps, natives)
    return total
