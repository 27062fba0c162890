"""Every elementwise operation on OpenCL, element by element and in vectors: the reference's bits."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.ir.kernel import Kernel
from tests.llvm.native import Array, axes
from tests.llvm.test_elementwise import FORMS, NUMPY, SIZE, operand
from tests.opencl.native import ROWS, check, made
from tests.opencl.programs import opencl

pytestmark = pytest.mark.opencl


def all_forms(op: str, folds: bool) -> tuple[Kernel, list[Array]]:
    """The operation on all types it takes, in one kernel. `folds`: a maximum beside them, so that it is one of rows,
    whose elements are computed in vectors."""
    b, arrays = axes(outer=[1], row=[SIZE]), []
    for kinds, dtype in FORMS[op]:
        loads = [b.load(len(arrays) + i, 0, 1, dtype=kind) for i, kind in enumerate(kinds)]
        arrays += [operand(kind, i) for i, kind in enumerate(kinds)]
        b.store(b.inst(op, *loads, dtype=dtype), len(arrays), 0, 1, flag=0)
        arrays.append(np.zeros(SIZE, NUMPY[dtype]))
    if folds:
        b.store(b.inst("reduce", b.load(len(arrays), 0, 1), how="max"), len(arrays) + 1, 0, 0)
        arrays += [np.arange(SIZE, dtype=np.float32), np.zeros(1, np.float32)]
    return b.kernel("rows"), arrays


@pytest.mark.pocl
@pytest.mark.parametrize("op", FORMS)
def test_operation(op: str) -> None:
    check(*all_forms(op, folds=False), chosen=ROWS[:1])


@pytest.mark.parametrize("op", FORMS)
def test_operation_under_other_schedules(op: str) -> None:
    check(*all_forms(op, folds=False), chosen=ROWS[1:])


@pytest.mark.pocl
@pytest.mark.parametrize("op", FORMS)
def test_operation_in_vectors(op: str) -> None:
    check(*all_forms(op, folds=True), chosen=[made(lanes=opencl().target.lanes)])
