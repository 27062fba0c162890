"""The face between kernel generators and the step driver: what a native kernel is and how it is run.

Takes: kernels and planned buffers. Promises: each phase of a kernel is one function

    void @symbol(ptr arena, ptr feed, ptr shared, ptr private, i64 lo, i64 hi, ptr where, i64 turn0, …)

that runs tasks lo … hi-1 of [0, tasks). `where` is a table of i64: what the kernel touches lies so many bytes from
its space (forms.py). Any cut of the tasks among threads and in time gives the same bits. All tasks of one phase end
before the next phase begins, and the last before `shared` is used again: the driver's barriers. Phases, tasks and
sizes depend on the kernel and its schedule, never on the threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.module import Module
from jobspec.ir.contraction import Cut
from jobspec.ir.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Place:
    """Where a buffer lies: as many bytes from the pointer `space` (arena or feed) as `where` says at `slot`, 64-byte
    aligned."""

    space: str
    slot: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Order:
    """What tasks stand for. `loops`: (positions, axis), outermost first, all the kernel's axes among them (of axes run
    as one the innermost, past its own size). Tasks go in order through the first `along` of them, as many for each
    position; or where `cut` says how runs of positions are cut, one for each part."""

    loops: tuple[tuple[int, int], ...]
    along: int
    cut: Cut | None = None

    @property
    def positions(self) -> int:
        """That tasks go through."""
        return prod(size for size, _ in self.loops[: self.along])

    def first(self, task: int, tasks: int) -> Fraction:
        """The position at which `task` of `tasks` begins; no whole number where it begins inside one."""
        if self.cut is None:
            return Fraction(task * self.positions, tasks)
        run, part = divmod(task, self.cut.parts)
        return Fraction(run * self.cut.length + part * (self.cut.size - 1) + min(part, self.cut.more))


@dataclass(frozen=True, slots=True)
class Light:
    """Tasks that are less work: all from `first` on, as `less` to `full` of one before."""

    first: int
    full: int
    less: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One function. `weight`: rough cost of one task, in 16-wide instructions; `order`: None where tasks stand for
    nothing that lies together; `light`: None where all tasks are as much work."""

    symbol: str
    tasks: int
    weight: int
    order: Order | None = None
    light: Light | None = None


@dataclass(frozen=True, slots=True)
class Native:
    """A kernel as functions. `shared`: bytes of scratch that all threads see, a block of its own for this kernel,
    kept from the first phase to the last; `private`: bytes of scratch per thread. Both 64-byte aligned, undefined
    at entry; any pointer will do where 0."""

    phases: tuple[Phase, ...]
    shared: int = 0
    private: int = 0


def turn_count(kernel: Kernel) -> int:
    """How many loops of the plan enclose the kernel, as far as its views say."""
    return max((len(view.turns) for view, _ in kernel.views()), default=0)


def begin(module: Module, symbol: str, kernel: Kernel) -> Function:
    """A function with the parameters of a phase, added to the module."""
    pointers = [("ptr noalias", name) for name in ("arena", "feed", "shared", "private")]
    tasks = [("i64", "lo"), ("i64", "hi")]
    turns = [("i64", f"turn{i}") for i in range(turn_count(kernel))]
    function = Function(module, symbol, [*pointers, *tasks, ("ptr noalias", "where"), *turns])
    module.add(function)
    return function
