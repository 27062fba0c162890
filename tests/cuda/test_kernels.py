"""Kernels of every kind as compiled PTX, under every schedule and watched: the interpreter's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from jobspec.backends.conformance.examine import agreeing, answer
from jobspec.backends.conformance.pack import pack
from jobspec.backends.conformance.sheet import Case
from jobspec.backends.cuda.trial import Trial
from jobspec.ir.kernel import Kernel
from tests.cuda.native import ROWS, TILES, check
from tests.cuda.stand_in import StandIn
from tests.llvm import bodies
from tests.llvm.native import Array, axes, numbers
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import convolution, matmul, weight_gradient
from tests.llvm.test_random_kernels import kernels

pytestmark = pytest.mark.cuda
#: as the child examines a GPU (backends/cuda/child.py, which imports the driver)
SCHEDULES = {"rows": ROWS, "contract": TILES}
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


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


@pytest.mark.parametrize("case", [bodies.softmax, bodies.layer_norm, bodies.cross_entropy])
def test_rows(case: Callable[..., Any]) -> None:
    for size in (1, 33, 4097):
        check(*case(3, size, True))


def test_other_kinds() -> None:
    check(*bodies.norm(9000, True))
    check(*bodies.adamw(300, True))
    check(*bodies.column_sums([3, 4], [5, 70], True))
    check(*bodies.variance(33, 1025))
    check(*bodies.embedding_gradient([70], [40], 11, True))


def test_argmax_and_nan() -> None:
    x = np.tile(np.array([3, 7, 7, np.nan, -np.inf, 7], np.float32), (2, 50))
    x[1] = -np.inf
    b = axes(outer=[2], row=[300])
    b.store(b.inst("reduce", b.load(0, 300, 1), how="argmax", dtype="i32"), 1, 1, 0)
    check(b.kernel("rows"), [x.reshape(-1), np.zeros(2, np.int32)])


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_contractions(layout: str) -> None:
    for m, n, k in ((1, 1, 1), (13, 40, 257)):
        check(*matmul(m, n, k, layout, 2, True))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_many_contractions(layout: str) -> None:
    for m, n, k in ((7, 19, 33), (70, 40, 256), (5, 133, 511), (9, 16, 1300), (64, 64, 3000)):
        check(*matmul(m, n, k, layout, 2, True))


def test_convolutions() -> None:
    check(*convolution(2, 6, 3, 16, 3))
    check(*weight_gradient(2, 7, 3, 20, 3))


@settings(RELAXED, max_examples=6)
@given(case=kernels())
def test_random_kernels(case: tuple[Kernel, list[Array]]) -> None:
    check(*case)


@settings(RELAXED, max_examples=3)
@given(case=contractions())
def test_random_contractions(case: Any) -> None:
    kernel, arrays = case[:2]
    turns = max(len(view.turns) for view, _ in kernel.views())
    check(kernel, arrays, turns=(1,) * turns)


@pytest.mark.slow
@settings(RELAXED, max_examples=500)
@given(case=kernels())
def test_many_random_kernels(case: tuple[Kernel, list[Array]]) -> None:
    check(*case)


@pytest.mark.slow
@settings(RELAXED, max_examples=300)
@given(case=contractions())
def test_many_random_contractions(case: Any) -> None:
    kernel, arrays = case[:2]
    turns = max(len(view.turns) for view, _ in kernel.views())
    check(kernel, arrays, turns=(1,) * turns)


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
