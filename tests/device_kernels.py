"""Kernels of every kind as a device's tests run them: `class TestKernels(DeviceKernels)` says how and how large.

Takes: `check`, which runs a kernel under every schedule of the device and compares memory with what the interpreter
leaves. Promises: the same cases for every device that runs rendered C; many random ones are slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from jobspec.ir.kernel import Kernel
from tests.llvm import bodies
from tests.llvm.native import Array, axes
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import convolution, matmul, weight_gradient
from tests.llvm.test_random_kernels import kernels

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


class DeviceKernels:
    """`sizes`: of rows; `special`: whether numbers are special ones; `shapes`: of contractions; `length`: of what is
    updated element by element."""

    check: ClassVar[Callable[..., None]]
    sizes: ClassVar[Sequence[int]]
    special: ClassVar[Sequence[bool]]
    shapes: ClassVar[Sequence[tuple[int, int, int]]]
    length: ClassVar[int]

    @pytest.mark.parametrize("case", [bodies.softmax, bodies.layer_norm, bodies.cross_entropy])
    def test_rows(self, case: Callable[..., Any]) -> None:
        for size in self.sizes:
            for special in self.special:
                self.check(*case(3, size, special))

    @pytest.mark.pocl
    def test_other_kinds(self) -> None:
        self.check(*bodies.norm(9000, True))
        self.check(*bodies.adamw(self.length, True))
        self.check(*bodies.column_sums([3, 4], [5, 70], True))
        self.check(*bodies.variance(33, 1025))
        self.check(*bodies.embedding_gradient([70], [40], 11, True))

    @pytest.mark.pocl
    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("kind", ["rows", "columns"])
    def test_argmax_and_nan(self, kind: str, first: bool) -> None:
        x = np.tile(np.array([3, 7, 7, np.nan, -np.inf, 7], np.float32), (2, 50))
        x[0, 0] = np.nan if first else -np.inf
        x[1] = -np.inf
        outer, inner = ("outer", "row") if kind == "rows" else ("kept", "reduced")
        b = axes(**{outer: [2], inner: [300]})
        b.store(b.inst("reduce", b.load(0, 300, 1), how="argmax", dtype="i32"), 1, 1, 0)
        self.check(b.kernel(kind), [x.reshape(-1), np.zeros(2, np.int32)])

    @pytest.mark.pocl
    def test_what_columns_store_beside_their_sums(self) -> None:
        """Fewer columns than work-items share a group: what is only stored was once the last column's for all."""
        b = axes(kept=[2], reduced=[1])
        x = b.load(0, 1, 1)
        b.store(b.inst("neg", x), 1, 1, 1)
        b.store(b.inst("reduce", x, how="sum"), 2, 1, 0)
        columns = np.array([0.25, 0.5], np.float32)
        self.check(b.kernel("columns"), [columns, np.zeros(2, np.float32), np.zeros(2, np.float32)])

    @pytest.mark.pocl
    def test_what_columns_store_of_their_sums(self) -> None:
        """The same number twice, once needed by elements that are visited before it is stored: it was once that of a
        column that is not there."""
        b = axes(kept=[1], reduced=[2])
        total, y = b.inst("reduce", b.load(0, 0, 0), how="sum"), b.load(1, 0, 0)
        once, again = b.inst("neg", total), b.inst("neg", total)
        b.store(b.inst("add", y, y), 2, 2, 1)
        b.store(b.inst("add", y, once), 3, 2, 1)
        b.store(once, 4, 1, 0)
        b.store(again, 5, 1, 0)
        results = [np.zeros(n, np.float32) for n in (2, 2, 1, 1)]
        self.check(b.kernel("columns"), [np.array([0.125], np.float32), np.array([1.5], np.float32), *results])

    @pytest.mark.parametrize("layout", [pytest.param("nn", marks=pytest.mark.pocl), "nt", "tn", "tt"])
    def test_contractions(self, layout: str) -> None:
        for m, n, k in self.shapes:
            self.check(*matmul(m, n, k, layout, 2, True))

    @pytest.mark.slow
    @pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
    def test_many_contractions(self, layout: str) -> None:
        for m, n, k in ((7, 19, 33), (70, 40, 256), (5, 133, 511), (9, 16, 1300), (64, 64, 3000)):
            self.check(*matmul(m, n, k, layout, 2, True))

    @pytest.mark.pocl
    def test_convolutions(self) -> None:
        self.check(*convolution(2, 6, 3, 16, 3))
        self.check(*weight_gradient(2, 7, 3, 20, 3))

    @settings(RELAXED, max_examples=8)
    @given(case=kernels())
    def test_random_kernels(self, case: tuple[Kernel, list[Array]]) -> None:
        self.check(*case)

    @settings(RELAXED, max_examples=4)
    @given(case=contractions())
    def test_random_contractions(self, case: Any) -> None:
        self._turned(*case[:2])

    @pytest.mark.slow
    @settings(RELAXED, max_examples=1000)
    @given(case=kernels())
    def test_many_random_kernels(self, case: tuple[Kernel, list[Array]]) -> None:
        self.check(*case)

    @pytest.mark.slow
    @settings(RELAXED, max_examples=300)
    @given(case=contractions())
    def test_many_random_contractions(self, case: Any) -> None:
        self._turned(*case[:2])

    def _turned(self, kernel: Kernel, arrays: list[Array]) -> None:
        """Within loops where the kernel stands in some, in their second turn."""
        self.check(kernel, arrays, turns=(1,) * max(len(view.turns) for view, _ in kernel.views()))
