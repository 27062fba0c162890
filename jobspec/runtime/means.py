"""The mean of a metric over its batches, to the bit.

Takes: one float32 per batch. Promises: their sum in the contract's row order, divided by their number as
float32: the meaning of `sum(axis) / n`, so an evaluation says the same whatever ran it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.build import full
from jobspec.ir.later import later
from jobspec.ir.program import Program, make
from jobspec.ir.types import Type

if TYPE_CHECKING:
    from jobspec.backends.reference.evaluate import evaluate
else:
    evaluate = later("jobspec.backends.reference.evaluate", "evaluate")


def mean(values: NDArray[np.float32]) -> np.float32:
    """The mean of float32 [n], 0 < n < 2^24."""
    x = make("input", name="x", dtype="f32", shape=values.shape)
    total = make("sum", x, axes=(0,))
    average = make("div", total, full(Type("f32"), len(values)))
    return np.float32(evaluate(Program((x,), (("mean", average),)), {"x": values})["mean"])
