"""The clause of matrix instructions: both of the machine's orders satisfy it, and what breaks it is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from jobspec.backends.cuda import matrix_clause
from jobspec.backends.cuda.trial import Trial
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from tests.cuda.stand_in import StandIn

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize(
    ("order", "shapes"), [("once", 2), *(pytest.param(order, 5, marks=pytest.mark.slow) for order in ("chain", "once"))]
)
def test_what_breaks_it_is_named(order: str, shapes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_clause, "SHAPES", matrix_clause.SHAPES[:shapes])
    driver = StandIn(watched=False, order=order)
    made: dict[tuple[int, tuple[tuple[str, int], ...]], Sequence[Array]] = {}

    def good(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> Sequence[Array]:
        key = (arrays[-1].size, schedule.choices)
        made[key] = made.get(key) or Trial(driver).arrays(kernel, arrays, schedule)
        return made[key]

    def tile(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> Sequence[Array]:
        found = good(kernel, arrays, schedule)[-1].copy()
        found.view(np.uint32)[5] ^= schedule.get("stage", 0) == 16
        return [found]

    def far(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> Sequence[Array]:
        return [good(kernel, arrays, schedule)[-1] * np.float32(1.001)]

    assert matrix_clause.matrix_clause(good) == ""
    assert matrix_clause.matrix_clause(tile) == "two tiles of one product differ"
    assert matrix_clause.matrix_clause(far) == "a sum is too far from the contract's"
    driver.close()
