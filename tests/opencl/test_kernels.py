"""Kernels of every kind on OpenCL, under every schedule: the interpreter's bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.device_kernels import DeviceKernels
from tests.llvm.native import axes, numbers
from tests.opencl.native import check

pytestmark = pytest.mark.opencl


class TestKernels(DeviceKernels):
    check = staticmethod(check)
    sizes, special, length = (1, 2, 17, 33, 65, 4095, 4097, 9000), (False, True), 3000
    shapes = ((1, 1, 1), (7, 19, 33), (5, 70, 257), (9, 16, 1300))


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


@pytest.mark.pocl
def test_folded_products_stay_two_operations() -> None:
    b = axes(kept=[32], reduced=[128])
    x = b.inst("neg", b.inst("mul", b.load(0, 1, 32), b.load(1, 1, 32)))
    b.store(b.inst("reduce", x, how="sum"), 2, 1, 0)
    check(b.kernel("columns"), [numbers(4096, 1), numbers(4096, 2), np.zeros(32, np.float32)])
