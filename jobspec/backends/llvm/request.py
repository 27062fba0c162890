"""What a kernel generator is asked for, and how it opens its functions.

Takes: a kernel and where its buffers lie. Promises: `phase` emits one function of the convention whose
tasks are an outermost loop; `Layout` hands out scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from jobspec.backends.llvm.convention import Phase, Place, begin
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.evaluate import run
from jobspec.backends.llvm.scope import WIDTH, Scope, Site, opened
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import Kernel
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Schedule

LINE = 64
#: bytes of scratch that one function takes from the stack at most
STACK = 64 * 1024
COSTS = {"div": 8, "sqrt": 10}
STRIDED_LOAD, STRIDED_STORE = 8, 12


@dataclass(frozen=True)
class Request:
    """`flags`: place of the first flag word."""

    module: Module
    name: str
    kernel: Kernel
    schedule: Schedule
    places: tuple[Place, ...]
    flags: Place

    def size(self, axis: int) -> int:
        return self.kernel.axes[axis].size

    def phase(
        self,
        nest: Nest,
        suffix: str,
        tasks: int,
        weight: int,
        insts: Collection[int],
        emit: Callable[[Scope, Value], None],
    ) -> Phase:
        """A function that runs `emit(scope outside all loops, task)` for its tasks; `insts`: all it computes."""
        return self.together(nest, suffix, tasks, weight, insts, lambda entry, task: emit(entry, *task), 1)

    def together(
        self,
        nest: Nest,
        suffix: str,
        tasks: int,
        weight: int,
        insts: Collection[int],
        emit: Callable[[Scope, Sequence[Value]], None],
        most: int,
    ) -> Phase:
        """The same where `emit` takes `most` neighbouring tasks at once, and those left over one by one."""

        def share(entry: Scope, lo: Value, hi: Value) -> None:
            f = entry.f
            if most > 1:
                whole = f.iadd(lo, f.imul(f.udiv(f.isub(hi, lo), most), most))
                f.loop(lo, whole, most, lambda task: emit(entry, [f.iadd(task, i) for i in range(most)]))
                lo = whole
            f.loop(lo, hi, 1, lambda task: emit(entry, [task]))

        return self.shared_out(nest, suffix, tasks, weight, insts, share)

    def shared_out(
        self,
        nest: Nest,
        suffix: str,
        tasks: int,
        weight: int,
        insts: Collection[int],
        share: Callable[[Scope, Value, Value], None],
    ) -> Phase:
        """The same where `share` does all tasks from one on, up to another."""
        symbol = self.name + suffix
        f = begin(self.module, symbol, self.kernel)
        past = self.schedule.get("past", 0) > 0 and self.module.has("avx512f")
        entry = opened(Site(f, nest, self.places, self.flags, past), insts)
        run(entry, 0, insts)
        share(entry, *f.params[4:6])
        if past:
            f.settle()
        f.ret()
        return Phase(symbol, tasks, max(1, weight))


@dataclass
class Layout:
    """Bytes of scratch given out so far, each piece on a line of its own. `stack`: bytes taken from the stack."""

    size: int = 0
    stack: int = 0
    offsets: dict[object, int] = field(default_factory=dict)

    def place(self, key: object, size: int) -> int:
        """The offset of `size` bytes known by `key`."""
        if key not in self.offsets:
            self.offsets[key] = self.size
            self.size += -(-size // LINE) * LINE
        return self.offsets[key]


def cost(kernel: Kernel, insts: Collection[int]) -> int:
    """Rough count of vector instructions for one evaluation of `insts`."""
    total = 0
    for i in insts:
        op = kernel.body[i].op
        total += 20 if op in OPS and OPS[op].has("library") else COSTS.get(op, 1)
    return total


def shared(f: Function, offset: int) -> Value:
    return f.offset(f.params[2], offset)


def scratch_of(f: Function, layout: Layout, size: int) -> Value:
    """`size` bytes for this thread: on the stack while there is room, else in the private block."""
    if layout.stack + size <= STACK:
        layout.stack += size
        return f.alloca(size)
    return f.offset(f.params[3], layout.place(len(layout.offsets), size))


def vector_axis(q: Request, axes: Iterable[int]) -> int:
    """The one of `axes` along which vectors cost least; the last one where several do."""
    return min(reversed(list(axes)), key=lambda axis: vector_cost(q, axis))


def vector_cost(q: Request, axis: int) -> float:
    """Rough cost per element of running vectors along `axis`."""
    total = 1
    for view, written in q.kernel.views():
        total += 1 if view.strides[axis] in (0, 1) else STRIDED_STORE if written else STRIDED_LOAD
    size = q.size(axis)
    return total * (-(-size // WIDTH) * WIDTH / size)
