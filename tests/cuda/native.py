"""Kernels as NVIDIA's compiler emits them, run on this processor under watch, compared with the interpreter.

Promises: `check` renders, compiles, reads the PTX, and runs it twice, threads and blocks in both orders; memory
then holds exactly what the reference interpreter leaves, and no byte outside the arrays was touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobspec.backends.c.alone import Alone, alone
from jobspec.backends.reference.kernels import run_kernel
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.passes.own_order import mark_own_order
from tests.cuda.machine.machine import Block, Bytes, Program
from tests.cuda.programs import clean
from tests.llvm.native import FLAGS, Array, same

made = Schedule.of

ROWS = (made(team=1), made(team=32), made(each=4, rows=4))
TILES = (
    made(rows=4, columns=4, lanes=1),
    made(rows=2, columns=3, lanes=1, swap=1),
    made(stage=8, rows=2, columns=4, high=4, wide=4),
    made(stage=16, rows=4, columns=4, high=8, wide=8, swap=1),
)


COLUMNS = (
    Schedule(),
    made(beside=8, parts=4),
    made(beside=32, parts=16),
    made(each=4),
    made(beside=4, each=4, parts=4),
)
MAPS = (Schedule(), made(each=2), made(each=4))
SCATTERS = (Schedule(), made(parts=4))


def schedules(kernel: Kernel) -> Sequence[Schedule]:
    if kernel.kind in ("rows", "columns", "fill") and all(inst.op != "reduce" for inst in kernel.body):
        return MAPS
    return {"rows": ROWS, "columns": COLUMNS, "contract": TILES, "scatter": SCATTERS}.get(kernel.kind, (Schedule(),))


def narrowed(kernel: Kernel, arrays: list[Array]) -> tuple[Kernel, list[Array]]:
    """With operands in bfloat16, and marked as in the profile `fast`."""
    words = [x.view(np.uint32) & np.uint32(0xFFFF0000) for x in arrays]
    return mark_own_order([kernel])[0], [word.view(np.float32) for word in words]


def check(
    kernel: Kernel,
    arrays: Sequence[Array],
    *more: Schedule,
    turns: tuple[int, ...] = (),
    chosen: Sequence[Schedule] = (),
) -> None:
    """Under every schedule (or those `chosen`), flags included."""
    expected, flags = [a.copy() for a in arrays], np.zeros(FLAGS, np.int32)
    run_kernel(kernel, expected, flags, turns)
    for schedule in chosen or (*schedules(kernel), *more):
        for found, words in runs(kernel, arrays, schedule, turns):
            for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
                same(wanted, got, f"buffer {number}, {schedule.choices}")
            assert words[:FLAGS].tolist() == flags.tolist(), f"flags, {schedule.choices}"


def runs(
    kernel: Kernel, arrays: Sequence[Array], schedule: Schedule, turns: tuple[int, ...] = ()
) -> list[tuple[list[Array], Array]]:
    """What memory holds afterwards: threads in order, and backwards."""
    program = alone(kernel, arrays, schedule, "cuda")
    ptx = Program(clean(kernel.kind, program.text, 90).ptx)
    try:
        return [program.results(left(program, ptx, turns, backwards)) for backwards in (False, True)]
    finally:
        ptx.close()


def left(program: Alone, ptx: Program, turns: tuple[int, ...], backwards: bool) -> Bytes:
    arena, scratch = Block(program.size, mask(program)), Block(program.scratch)
    arena.bytes[:] = program.arena()
    spaces = (arena.address, arena.address, scratch.address, np.float32(1))
    for launch in program.launches:
        args = (*spaces, *turns[: launch.turns])
        ptx.launch(launch.symbol, launch.groups, launch.items, args, [arena, scratch], backwards, launch.shared)
    return arena.bytes


def mask(program: Alone) -> Bytes:
    """The bytes of the arrays and of the flag words."""
    found = np.zeros(program.size, np.uint8)
    for buffer in program.buffers:
        found[buffer.offset : buffer.offset + buffer.type.nbytes] = 1
    return found
