"""What GPUs are asked for, counted without one: `python -m tests.cuda.counts SPEC…` for a training step of each.

Takes: names of specs. Promises: a group of every launch of a step's kernels runs on the machine for PTX, and so many
times as the step has groups of it are counted: instructions of 32 work-items (of those that part, the longer way),
accesses of memory by 32 work-items at once, and sectors of 32 bytes that these touch. Side by side: each element by
itself, as if no work-item took neighbours, and as the scheduler chooses. Attention that is one launch, and what sorts
or scatters, has no such choice and is left out. Nothing here is a time.

`--fast SPEC…`: the same of steps that compute `fast`, all kernels together; side by side, as if operands of
contractions lay in float32 and were rounded by each that reads them, and as they lie.
"""

from __future__ import annotations

import mmap
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import PropertyMock, patch

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Request
from jobspec.backends.c.source import source
from jobspec.backends.c.tiled import Tile
from jobspec.backends.c.writer import Writer
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.cuda.ptx import Instruction
from jobspec.backends.cuda.target import target_of
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.kernel import Axis, Kernel
from jobspec.ir.plan import Buffer, Call, Routine, Schedule, Steps, Turns, called
from jobspec.ir.trio import trios
from jobspec.ir.types import Type
from jobspec.loading import read_spec
from jobspec.passes import pipeline, schedule_beside
from jobspec.passes.pipeline import PASSES, compile_job
from jobspec.passes.round_once import round_once
from jobspec.passes.schedule import choose_schedule
from jobspec.runtime.tuning import unplaced
from jobspec.store.home import Home
from tests.cuda.machine import runtime, translate
from tests.cuda.machine.body import Body
from tests.cuda.machine.machine import Program
from tests.specs.tiny import SPECS

LEVEL, LINE, FLAGS = 90, 256, 64
#: work-items of a group at most, accesses that are remembered
ITEMS, REMEMBERED = 1024, 1 << 23
#: elements of the longest axis that is run, and of one that is contracted
LONGEST, CONTRACTED = 1 << 16, 1 << 12
#: Linux' MAP_NORESERVE
UNRESERVED = 0x4000
COMPUTE = {"compute": "fast"}
KINDS = {"rows": "rows", "columns": "columns", "contract": "contractions"}


@dataclass(frozen=True)
class Counted:
    """`elements`: that the kernel visits (of a contraction: results); of all groups, of 32 work-items at once."""

    elements: int = 0
    instructions: int = 0
    accesses: int = 0
    sectors: int = 0

    def plus(self, other: Counted, times: int = 1) -> Counted:
        return Counted(*(a + times * b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        return self.elements, self.instructions, self.accesses, self.sectors


class Counting:
    """Programs whose instructions and accesses are noted. `turns[line, item]`: how often each was executed."""

    def __init__(self) -> None:
        self.turns = np.zeros((1 << 14, ITEMS), np.int32)
        self.noted = np.zeros((REMEMBERED, 3), np.int64)
        self.count = np.zeros(1, np.int64)
        self._one = translate.one

    @contextmanager
    def translating(self) -> Iterator[None]:
        with patch.object(translate, "one", self._counted):
            yield

    def _counted(self, b: Body, i: Instruction) -> None:
        assert i.line < len(self.turns), "a text of more lines than are counted"
        item = b.environment(runtime.TID)
        self._add(b, self.turns.ctypes.data, b.let(f"add i64 {item}, {i.line * ITEMS}"), "i32")
        if i.op[1:2] == ("global",) or (i.op[0] == "cp" and "global" in i.op):
            self._note(b, i, item)
        self._one(b, i)

    def _note(self, b: Body, i: Instruction, item: str) -> None:
        """Line, work-item, address."""
        number = b.let(f"and i64 {self._add(b, self.count.ctypes.data, '0', 'i64')}, {REMEMBERED - 1}")
        row = b.let(f"mul i64 {number}, 3")
        address = b.address(i.args[0 if i.op[0] == "st" else 1])
        for column, value in enumerate((str(i.line), item, address)):
            place = self._at(b, self.noted.ctypes.data, b.let(f"add i64 {row}, {column}"), "i64")
            b.line(f"store i64 {value}, ptr {place}")

    def _at(self, b: Body, base: int, index: str, type_: str) -> str:
        return b.let(f"getelementptr {type_}, ptr inttoptr (i64 {base} to ptr), i64 {index}")

    def _add(self, b: Body, base: int, index: str, type_: str) -> str:
        """One more; what it was before."""
        place = self._at(b, base, index, type_)
        before = b.let(f"load {type_}, ptr {place}")
        b.line(f"store {type_} {b.let(f'add {type_} {before}, 1')}, ptr {place}")
        return before

    def taken(self, items: int) -> Counted:
        """What was counted since the last time."""
        noted = self.noted[: int(self.count[0])]
        assert len(noted) == self.count[0] < REMEMBERED, "more accesses than are remembered"
        teams = self.turns[:, : -(-items // 32) * 32].reshape(len(self.turns), -1, 32)
        found = Counted(0, int(teams.max(axis=2).sum()), *accessed(noted))
        self.turns[:], self.count[:] = 0, 0
        return found


def accessed(noted: NDArray[np.int64]) -> tuple[int, int]:
    """Accesses of 32 work-items at once, and sectors: the n-th of each at one line are one access."""
    if not len(noted):
        return 0, 0
    order = np.lexsort((np.arange(len(noted)), noted[:, 1], noted[:, 0]))
    line, item, address = noted[order].T
    first = np.r_[True, (line[1:] != line[:-1]) | (item[1:] != item[:-1])]
    begins = np.flatnonzero(first)
    turn = np.arange(len(line)) - np.repeat(begins, np.diff(np.r_[begins, len(line)]))
    one = np.stack([line, item // 32, turn, address // 32], axis=1)
    return len(np.unique(one[:, :3], axis=0)), len(np.unique(one, axis=0))


def counted(kernel: Kernel, schedule: Schedule, buffers: Sequence[Buffer], counting: Counting) -> Counted:
    """Of all groups of the kernel, from the first of each launch."""
    kernel = shortened(unplaced(kernel))
    memory, placed = laid_out(kernel, buffers)
    writer = Writer()
    launches = render(Request("k", kernel, schedule, placed, placed[-1]), writer)
    with counting.translating():
        program = Program(compile_text(source("cuda", writer), LEVEL, EXACT, False).ptx, watched=False)
    arena = np.frombuffer(memory, np.uint8).ctypes.data
    scratch = np.zeros(max(64, *(launch.scratch for launch in launches)), np.uint8)
    results = kernel.kind == "contract"
    total = Counted(prod(a.size for a in kernel.axes if not results or a.role != "k"))
    for launch in launches:
        args = (arena, arena, scratch.ctypes.data, np.float32(1), *[0] * launch.turns)
        program.launch(launch.symbol, 1, launch.items, args, [], shared=launch.shared)
        total = total.plus(counting.taken(launch.items), launch.groups)
    program.close()
    return total


def shortened(kernel: Kernel) -> Kernel:
    """With axes of 65,536 at most, and of 4,096 that are contracted."""
    most = {"k": CONTRACTED}
    axes = tuple(Axis(min(axis.size, most.get(axis.role, LONGEST)), axis.role) for axis in kernel.axes)
    return replace(kernel, axes=axes)


def laid_out(kernel: Kernel, buffers: Sequence[Buffer]) -> tuple[mmap.mmap, tuple[Buffer, ...]]:
    """Memory of zeros, which takes no more than is touched; the kernel's buffers in it, then the flag words."""
    numbers = list(dict.fromkeys(view.buffer for view, _ in kernel.views()))
    offset, placed = LINE, []
    for number in numbers:
        placed.append(replace(buffers[number], space="arena", offset=offset))
        offset += -(-buffers[number].type.nbytes // LINE) * LINE
    placed.append(Buffer("flags", Type("i32", (FLAGS,)), "arena", offset))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | UNRESERVED
    return mmap.mmap(-1, offset + 4 * FLAGS, flags=flags), tuple(placed)


# ---- a step


def step_of(name: str, home: Home, values: Mapping[str, str] = {}) -> Routine:
    job = read_spec(SPECS / f"{name}.job", values, home).job
    return next(r for r in compile_job(job, target_of(LEVEL)).routines if r.name == "step")


def kinds(routine: Routine, often: Mapping[int, int]) -> Iterator[tuple[int, str, int]]:
    """(number of a kernel, in which line of the table, how often it counts)."""
    joined = {number for trio in trios(routine) for number in trio.kernels}
    for number, times in often.items():
        kernel = routine.kernels[number]
        folds = any(inst.op == "reduce" for inst in kernel.body)
        map_ = kernel.kind in ("rows", "columns", "fill") and not folds
        if number not in joined and (map_ or kernel.kind in KINDS):
            yield number, "maps" if map_ else KINDS[kernel.kind], times


@contextmanager
def one_by_one() -> Iterator[None]:
    """No work-item takes neighbours, nor is a long row shared out."""
    with (
        patch.object(schedule_beside, "pays", lambda *_: False),
        patch.object(schedule_beside, "blocks", lambda _: 1),
        patch.object(Tile, "neighbours", PropertyMock(return_value=1)),
    ):
        yield


def table(routine: Routine, counting: Counting, often: Mapping[int, int]) -> dict[str, Counted]:
    """Kind → what a step asks for."""
    known: dict[tuple[Kernel, Schedule, tuple[str, ...]], Counted] = {}
    total: dict[str, Counted] = {}
    for number, kind, times in kinds(routine, often):
        kernel = routine.kernels[number]
        _, schedule, buffers = whole = original(routine, number)
        key = unplaced(kernel), schedule, tuple(buffer.type.dtype for buffer in buffers)
        if key not in known:
            known[key] = counted(*whole, counting)
        total[kind] = total.get(kind, Counted()).plus(known[key], times)
    return total


def original(routine: Routine, number: int) -> tuple[Kernel, Schedule, tuple[Buffer, ...]]:
    """The kernel with its buffers in the order in which it names them."""
    kernel = routine.kernels[number]
    order = dict.fromkeys(view.buffer for view, _ in kernel.views())
    return kernel, choose_schedule(kernel, target_of(LEVEL)), tuple(routine.buffers[b] for b in order)


@contextmanager
def in_four_bytes() -> Iterator[None]:
    """Every reader of a value rounds it, and stores what it has rounded as float32."""
    plain = tuple(run for run in PASSES[FAST_PROFILE] if run is not round_once)
    with (
        patch.dict(PASSES, {FAST_PROFILE: plain}),
        patch.object(pipeline, "store_halves", lambda *_: None),
    ):
        yield


def fast(names: Sequence[str]) -> None:
    counting = Counting()
    print("| step | kernels | calls | instructions, 10⁹ | accesses, 10⁶ | GB asked for |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for name in names:
            with in_four_bytes():
                before = step_of(name, Home(Path(folder)), COMPUTE)
            now = step_of(name, Home(Path(folder)), COMPUTE)
            tables = [whole(routine, counting) for routine in (before, now)]
            for kind in sorted(tables[0]):
                pairs = zip(*(table[kind] for table in tables), strict=True)
                print(f"| {name} | {kind} | {' | '.join(' → '.join(map(short, pair)) for pair in pairs)} |")
            planned = f"{before.arena / 1e9:.4g} → {now.arena / 1e9:.4g}"
            print(f"| {name} | memory planned, GB | | | | {planned} |", flush=True)


def short(x: float) -> str:
    return f"{float(f'{x:.4g}'):,.10g}"


def whole(routine: Routine, counting: Counting) -> dict[str, list[float]]:
    """Kind → calls of a step, and what they ask for."""
    often = turned(routine.steps)
    calls = Counter[str]()
    for _, kind, times in kinds(routine, often):
        calls[kind] += times
    return {
        kind: [calls[kind], 32e-9 * c.instructions, 1e-6 * c.accesses, 32e-9 * c.sectors]
        for kind, c in table(routine, counting, often).items()
    }


def turned(steps: Steps) -> Counter[int]:
    """How often each kernel is called, all turns of loops counted."""
    found = Counter[int]()
    for step in steps:
        if isinstance(step, Call):
            found[step.kernel] += 1
        elif isinstance(step, Turns):
            found.update({kernel: step.count * times for kernel, times in turned(step.steps).items()})
    return found


def main(names: Sequence[str]) -> None:
    if names[0] == "--fast":
        return fast(names[1:])
    counting = Counting()
    print("| step | kernels | instructions an element | accesses of 1,000 elements | sectors an access |")
    print("|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for name in names:
            routine = step_of(name, Home(Path(folder)))
            often = Counter(called(routine.steps))
            with one_by_one():
                before = table(routine, counting, often)
            for kind, now in sorted(table(routine, counting, often).items()):
                pairs = zip(said(before[kind]), said(now), strict=True)
                print(f"| {name} | {kind} | {' | '.join(map(' → '.join, pairs))} |")


def said(c: Counted) -> tuple[str, str, str]:
    each = f"{32 * c.instructions / c.elements:.1f}"
    return each, f"{1000 * c.accesses / c.elements:.1f}", f"{c.sectors / max(1, c.accesses):.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
