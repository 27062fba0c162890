"""Short rows side by side, squares turned in registers: the interpreter's bits."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.ir.kernel import Kernel
from jobspec.passes.schedule_device import choose
from tests.llvm.native import Array, axes, numbers
from tests.llvm.test_contract import dressed, matmul
from tests.opencl.native import check, made, trial

pytestmark = pytest.mark.opencl
WIDTHS = (4, 8, 16)


def softmax(outer: int, row: int, place: int) -> tuple[Kernel, list[Array]]:
    """Each row's softmax into buffer `place`, which may be where it is read, the largest and the sum beside it."""
    b = axes(outer=[outer], row=[row])
    x = b.load(0, row, 1)
    most = b.inst("reduce", x, how="max")
    above = b.inst("exp", b.inst("sub", x, most))
    total = b.inst("reduce", above, how="sum")
    b.store(b.inst("div", above, total), place, row, 1, flag=0)
    b.store(most, 2, 1, 0)
    b.store(total, 3, 1, 0)
    special = numbers(outer * row, row, special=place == 1)
    return b.kernel("rows"), [special, np.zeros_like(special), *(np.zeros(outer, np.float32) for _ in range(2))]


@pytest.mark.parametrize("row", [32, 64, 96, 128])
def test_rows_side_by_side(row: int) -> None:
    chosen = [made(lanes=lanes, rows=rows) for lanes, rows in zip(WIDTHS, (1, 2, 4), strict=True)]
    for place in (0, 1):
        check(*softmax(12, row, place), chosen=chosen)


def test_the_largest_of_few_vectors_are_chosen() -> None:
    """Rows that are no whole vectors, long ones, and one that is alone."""
    from jobspec.backends.opencl.devices import target_of

    target = target_of(trial().device)
    fitting = {row: choose(softmax(12, row, 1)[0], target).get("rows", 0) for row in (32, 48, 64 * target.lanes)}
    assert fitting == {32: {16: 4, 8: 2, 4: 1}[target.lanes], 48: 0, 64 * target.lanes: 0}
    assert choose(softmax(1, 32, 1)[0], target).get("rows", 0) == 1


@pytest.mark.parametrize("lanes", WIDTHS)
def test_strips_that_are_turned(lanes: int) -> None:
    """Whole squares, steps that are none, columns that are left over."""
    for m, n, k in ((5, 2 * lanes, lanes), (7, 5 * lanes + 3, 3 * lanes), (6, 2 * lanes, lanes + 1)):
        check(*matmul(m, n, k, "nt", 2, True), chosen=[made(rows=6, columns=2, lanes=lanes, pack=1)])


@pytest.mark.parametrize("lanes", WIDTHS)
def test_what_is_asked_for_ahead(lanes: int) -> None:
    """By tiles that reach behind the last row and the last column."""
    check(*dressed(11, 37, 40, "tanh"), chosen=[made(rows=6, columns=2, lanes=lanes)])
