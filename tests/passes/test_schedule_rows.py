"""What a kernel writes goes past the caches where it is more than they hold, and nobody reads it there."""

from __future__ import annotations

import pytest

from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.target import Target
from jobspec.passes.schedule import choose_schedule, possible_schedules
from jobspec.passes.schedule_rows import PAST

TARGET = Target("llvm", "x86-64-v4", "", 16, 32, 48 << 10, 1 << 20, 1 << 20)
LARGE = 1 << 18


def copy(size: int, to: int, kind: str = "rows") -> Kernel:
    """Of `size` elements from buffer 0; a row, repeated four times."""
    body = (
        Inst("load", (), "f32", (("view", View(0, 0, (0, 1))),)),
        Inst("store", (0,), "f32", (("flag", -1), ("view", View(to, 0, (0, 1))))),
    )
    return Kernel("k", kind, (Axis(4, "outer"), Axis(size, "row")), body)


@pytest.mark.parametrize(
    ("kernel", "past"), [(copy(LARGE + 1, 1), True), (copy(LARGE, 1), False), (copy(LARGE + 1, 0), False)]
)
def test_what_no_cache_holds(kernel: Kernel, past: bool) -> None:
    assert (choose_schedule(kernel, TARGET) == PAST) == past
    assert len(possible_schedules(kernel, TARGET)) == 1 + past
