"""What is asked of a kernel's renderer, and what it answers: functions and how they are launched.

Takes: a kernel, its schedule, the routine's buffers. Promises: each launch is one function

    KERNEL symbol(GLOBAL uchar* arena, GLOBAL uchar* feed, GLOBAL uchar* scratch, float one, int turn0, …)

`one` being 1, run by `groups` groups of `items` work-items, in any order; a launch ends before the next one begins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from jobspec.backends.c.scope import Scope, Site
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Contraction, normal_form
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule

#: work-items of a group that share nothing
GROUP = 64
WIDEST = 2**31 - 1


@dataclass(frozen=True)
class Launch:
    """One function of a kernel. `turns`: how many loop counters it takes; `scratch`: bytes it uses beside the arena,
    kept from one launch of the kernel to the next; `shared`: (first byte, bytes) of each array in the piece of memory
    that a group shares (shared.py)."""

    symbol: str
    groups: int
    items: int
    turns: int
    scratch: int = 0
    shared: tuple[tuple[int, int], ...] = ()

    @property
    def shared_bytes(self) -> int:
        return max((first + size for first, size in self.shared), default=0)


@dataclass(frozen=True)
class Request:
    """`name`: begins all symbols; `flags`: the buffer of the flag words."""

    name: str
    kernel: Kernel
    schedule: Schedule
    buffers: tuple[Buffer, ...]
    flags: Buffer

    @property
    def turns(self) -> int:
        return max((len(view.turns) for view, _ in self.kernel.views()), default=0)

    @property
    def index(self) -> str:
        """The C type that positions and elements need."""
        sizes = [axis.size for axis in self.kernel.axes]
        total = 1
        for size in sizes:
            total *= size
        largest = max((self.buffers[view.buffer].type.size for view, _ in self.kernel.views()), default=0)
        return "int" if max(total, largest) <= WIDEST else "long"

    @cached_property
    def form(self) -> Contraction:
        """Of a kernel of kind contract, rows and columns exchanged where the schedule says so."""
        form = normal_form(self.kernel)
        return form.swapped() if self.schedule.get("swap", 0) else form

    def size(self, axis: int) -> int:
        return self.kernel.axes[axis].size

    @contextmanager
    def function(
        self, writer: Writer, symbol: str, nest: Nest, insts: Collection[int], items: int = 0, lanes: int = 1
    ) -> Iterator[Scope]:
        """A kernel function; gives the scope outside all loops, pointers for `insts` opened. `items`: of a group, said
        to the compiler, which then knows how many registers each may have; `lanes`: of the vectors that it is written
        in, said to it as well, which then joins no work-items in vectors of its own."""
        turns = "".join(f", int turn{i}" for i in range(self.turns))
        spaces = ", ".join(f"GLOBAL uchar* {space}" for space in ("arena", "feed", "scratch"))
        bound = f"BOUND({items}) " if items else ""
        bound += f"VECTORS({lanes}) " if lanes > 1 else ""
        with writer.block(f"KERNEL {bound}{symbol}({spaces}, float one{turns})"):
            site = Site(writer, nest, self.buffers, self.flags, self.index)
            site.open(nest.views(insts))
            yield Scope(site)


def spread(writer: Writer, index: str, tasks: int, most: int = GROUP) -> tuple[str, int, int]:
    """A task for each work-item, groups of `most`: its name, groups, items. Work-items behind the last return."""
    items = min(most, tasks)
    groups = -(-tasks // items)
    task = writer.let(index, f"({index})GROUP * {items} + ITEM", "task")
    if groups * items != tasks:
        writer.line(f"if ({task} >= {tasks}) return;")
    return task, groups, items
