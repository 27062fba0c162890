"""Kernels of every kind on OpenCL, under every schedule: the interpreter's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from jobspec.ir.kernel import Kernel
from tests.llvm import bodies
from tests.llvm.native import Array, axes, numbers
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import convolution, matmul, weight_gradient
from tests.llvm.test_random_kernels import kernels
from tests.opencl.native import check

pytestmark = pytest.mark.opencl
ROWS = (1, 2, 17, 33, 65, 4095, 4097, 9000)
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("special", [False, True], ids=["plain", "special"])
@pytest.mark.parametrize("case", [bodies.softmax, bodies.layer_norm, bodies.cross_entropy])
def test_rows(case: Callable[..., Any], special: bool) -> None:
    for size in ROWS:
        check(*case(3, size, special))


@pytest.mark.parametrize("how", ["sum", "max", "argmax"])
@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_long_folds_keep_their_order(kind: str, how: str) -> None:
    """Compilers are tempted to take a sum's order for free."""
    outer, inner = ("outer", "row") if kind == "rows" else ("kept", "reduced")
    for size in (121, 127, 128, 300, 1300):
        b = axes(**{outer: [10], inner: [size]})
        b.store(b.inst("reduce", b.load(0, 1, 10), how=how, dtype="i32" if how == "argmax" else "f32"), 1, 1, 0)
        result = np.zeros(10, np.int32 if how == "argmax" else np.float32)
        check(b.kernel(kind), [numbers(10 * size, size, size == 300), result])


def test_folded_products_stay_two_operations() -> None:
    b = axes(kept=[32], reduced=[128])
    x = b.inst("neg", b.inst("mul", b.load(0, 1, 32), b.load(1, 1, 32)))
    b.store(b.inst("reduce", x, how="sum"), 2, 1, 0)
    check(b.kernel("columns"), [numbers(4096, 1), numbers(4096, 2), np.zeros(32, np.float32)])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_argmax_and_nan(kind: str, first: bool) -> None:
    x = np.tile(np.array([3, 7, 7, np.nan, -np.inf, 7], np.float32), (2, 50))
    x[0, 0] = np.nan if first else -np.inf
    x[1] = -np.inf
    outer, inner = ("outer", "row") if kind == "rows" else ("kept", "reduced")
    b = axes(**{outer: [2], inner: [300]})
    b.store(b.inst("reduce", b.load(0, 300, 1), how="argmax", dtype="i32"), 1, 1, 0)
    check(b.kernel(kind), [x.reshape(-1), np.zeros(2, np.int32)])


def test_other_kinds() -> None:
    check(*bodies.norm(17000, True))
    check(*bodies.adamw(3000, True))
    check(*bodies.column_sums([3, 4], [5, 700], True))
    check(*bodies.variance(33, 1025))
    check(*bodies.embedding_gradient([70], [40], 11, True))


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_contractions(layout: str) -> None:
    for m, n, k in ((1, 1, 1), (7, 19, 33), (5, 70, 257), (9, 16, 1300)):
        check(*matmul(m, n, k, layout, 2, True))


def test_convolutions() -> None:
    check(*convolution(2, 6, 3, 16, 3))
    check(*weight_gradient(2, 7, 3, 20, 3))


@settings(RELAXED, max_examples=15)
@given(case=kernels())
def test_random_kernels(case: tuple[Kernel, list[Array]]) -> None:
    check(*case)


@settings(RELAXED, max_examples=6)
@given(case=contractions())
def test_random_contractions(case: Any) -> None:
    kernel, arrays = case[:2]
    turns = max(len(view.turns) for view, _ in kernel.views())
    check(kernel, arrays, turns=(1,) * turns)


@pytest.mark.slow
@settings(RELAXED, max_examples=2000)
@given(case=kernels())
def test_many_random_kernels(case: tuple[Kernel, list[Array]]) -> None:
    check(*case)


@pytest.mark.slow
@settings(RELAXED, max_examples=300)
@given(case=contractions())
def test_many_random_contractions(case: Any) -> None:
    kernel, arrays = case[:2]
    check(kernel, arrays, turns=(1,) * max(len(view.turns) for view, _ in kernel.views()))
