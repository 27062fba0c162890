"""Kernels run on the admitted OpenCL device, compared with the reference interpreter bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from jobspec.backends.kept import Kept
from jobspec.backends.opencl.admission import folder
from jobspec.backends.reference.kernels import run_kernel
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from tests.llvm.native import FLAGS, Array, same

if TYPE_CHECKING:
    from jobspec.backends.opencl.trial import Trial

#: what one run of the tests compiles serves the next
KEPT = folder() / "tests"


@cache
def trial() -> Trial:
    """The device that a job would run on, by itself."""
    from jobspec.backends.opencl.admission import chosen, vendors_folder
    from jobspec.backends.opencl.vendors import announce

    name = chosen().name
    announce(vendors_folder())
    from jobspec.backends.opencl.devices import device_named
    from jobspec.backends.opencl.trial import Trial

    return Trial(device_named(name), Kept(KEPT))


made = Schedule.of

ROWS = (made(team=1), made(team=32), made(each=4, rows=4), made(lanes=4), made(lanes=8), made(lanes=16))
TILES = (
    made(rows=4, columns=4, lanes=1),
    made(rows=6, columns=2, lanes=8),
    made(rows=6, columns=2, lanes=8, pack=1),
    made(rows=1, columns=3, lanes=4, swap=1),
    made(rows=6, columns=4, lanes=16),
    made(rows=3, columns=2, lanes=4, pack=1, swap=1),
    made(stage=8, rows=2, columns=4, high=4, wide=4),
    made(stage=16, rows=4, columns=4, high=8, wide=8, swap=1),
)


COLUMNS = (Schedule(), made(beside=8, parts=4), made(beside=32, parts=16), made(beside=4, each=4, parts=4))
STRIPS = ((4, 1), (4, 3), (8, 64), (16, 1), (16, 4))
MAPS = (Schedule(), made(lanes=8), made(each=4))


def schedules(kernel: Kernel) -> Sequence[Schedule]:
    if kernel.kind == "fill" or (kernel.kind == "columns" and all(inst.op != "reduce" for inst in kernel.body)):
        return MAPS
    if kernel.kind == "columns":
        return [*COLUMNS, *strips(kernel)]
    return {"rows": ROWS, "contract": TILES, "scatter": (Schedule(), made(parts=4))}.get(kernel.kind, (Schedule(),))


def strips(kernel: Kernel) -> Iterator[Schedule]:
    """Columns in vectors, whole and in parts, along the first and the last axis."""
    kept = kernel.axes_of("kept")
    for axis in sorted({*kept[:1], *kept[-1:]}):
        yield from (made(along=axis, lanes=lanes, parts=parts) for lanes, parts in STRIPS)


def check(
    kernel: Kernel, arrays: Sequence[Array], turns: tuple[int, ...] = (), chosen: Sequence[Schedule] = ()
) -> None:
    """Under every schedule (or those `chosen`) the device leaves in memory exactly what the interpreter leaves, flags
    included."""
    expected, flags = [a.copy() for a in arrays], np.zeros(FLAGS, np.int32)
    run_kernel(kernel, expected, flags, turns)
    for schedule in chosen or schedules(kernel):
        found, words = trial().run(kernel, arrays, schedule, turns)
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            same(wanted, got, f"buffer {number}, {schedule.choices}")
        assert words[:FLAGS].tolist() == flags.tolist(), f"flags, {schedule.choices}"
