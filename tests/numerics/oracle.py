"""True values of the library functions, and the distance of a float32 from them.

Takes: float32 arguments. Promises: float64 values good to a few units of their own last place, which is 1e-8 of a
float32's; the distance is in ulps of the true value (2^-149 below the normal range).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def erf(x: F64) -> F64:
    """numpy has none; beyond 6 it is 1 in float64."""
    result = np.where(np.isnan(x), x, np.sign(x))
    inner = np.abs(x) < 6
    result[inner] = np.fromiter(map(math.erf, x[inner].tolist()), np.float64)
    return result


TRUE: dict[str, Callable[..., F64]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "erf": erf,
    "sin": np.sin,
    "cos": np.cos,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
}


@np.errstate(all="ignore")
def true_value(name: str, *arguments: F32) -> F64:
    return TRUE[name](*(argument.astype(np.float64) for argument in arguments))


@np.errstate(all="ignore")
def ulps(result: F32, truth: F64) -> F64:
    """|result - truth| in ulps of the truth; 0 where both are NaN or one infinity, infinite where just one is."""
    unit = np.ldexp(1.0, np.maximum(np.frexp(truth)[1], -125) - 24)
    distance = np.abs(result.astype(np.float64) - truth) / unit
    nearest = truth.astype(np.float32)
    exact = (result == nearest) | (np.isnan(result) & np.isnan(truth))
    lost = ~np.isfinite(result) | ~np.isfinite(nearest)
    return np.where(lost, np.where(exact, 0.0, np.inf), distance)
