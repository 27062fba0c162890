"""Kernels of every kind as compiled PTX, under every schedule and watched: the interpreter's bits."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.conformance.examine import agreeing, answer
from jobspec.backends.conformance.pack import pack
from jobspec.backends.conformance.sheet import Case
from jobspec.backends.cuda.trial import Trial
from tests.cuda.native import ROWS, TILES, check
from tests.cuda.stand_in import StandIn
from tests.device_kernels import DeviceKernels
from tests.llvm.native import axes, numbers

pytestmark = pytest.mark.cuda
#: as the child examines a GPU (backends/cuda/child.py, which imports the driver)
SCHEDULES = {"rows": ROWS, "contract": TILES}


@pytest.mark.parametrize("case", list(pack()), ids=lambda case: case.clause.replace(" ", "_"))
def test_conformance(case: Case) -> None:
    """Every clause of the pack, as the compiler's output on a machine that watches."""
    check(case.kernel, case.arrays)


@pytest.mark.parametrize("case", [*pack()][::12], ids=lambda case: case.clause.replace(" ", "_"))
def test_clauses_are_answered_through_a_driver(case: Case) -> None:
    """As a GPU is examined before it is admitted."""
    driver = StandIn(watched=False)
    assert answer(case, agreeing(Trial(driver).arrays, SCHEDULES)) == ""
    driver.close()


class TestKernels(DeviceKernels):
    check = staticmethod(check)
    #: in fours along each axis, in pairs along k, and one by one
    sizes, special, shapes, length = (
        (1, 33, 4100),
        (True,),
        ((1, 1, 1), (20, 40, 260), (13, 40, 258), (13, 41, 257)),
        300,
    )


@pytest.mark.parametrize("how", ["sum", "max"])
def test_columns_in_parts(how: str) -> None:
    """Leaves shared out among work-items: as many as parts, fewer, more, and an odd one at the end."""
    for size in (256, 257, 1300, 5000):
        b = axes(kept=[33], reduced=[size])
        b.store(b.inst("reduce", b.load(0, 1, 33), how=how), 1, 1, 0)
        check(b.kernel("columns"), [numbers(33 * size, size, size == 257), np.zeros(33, np.float32)])


@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_what_a_fold_updates_is_read_before(kind: str) -> None:
    """s = 0.5 s + sum(x), where every work-item of the row or column reads s and one writes it."""
    outer, inner = ("outer", "row") if kind == "rows" else ("kept", "reduced")
    b = axes(**{outer: [5], inner: [700]})
    total = b.inst("reduce", b.load(0, 700, 1), how="sum")
    b.store(b.inst("add", b.inst("mul", b.load(1, 1, 0), b.const(0.5)), total), 1, 1, 0)
    check(b.kernel(kind), [numbers(3500, 1), numbers(5, 2)])
