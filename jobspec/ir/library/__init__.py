"""The library: every function that is not one primitive, each a fixed sequence of primitives.

Takes: an evaluator (`Scalars`) and its values. Promises: one definition for the reference, the compiled backends and
the tests; docs/numerics.md states the error bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobspec.ir.library.draws import normal, random_bits, uniform
from jobspec.ir.library.error_function import erf
from jobspec.ir.library.exponential import exp
from jobspec.ir.library.hyperbolic import tanh
from jobspec.ir.library.logarithm import log
from jobspec.ir.library.power import power
from jobspec.ir.library.protocol import Scalars
from jobspec.ir.library.root import rsqrt
from jobspec.ir.library.trigonometric import cos, sin

__all__ = ["DRAWS", "LIBRARY", "Scalars"]

DRAWS: dict[str, Callable[..., Any]] = {"random_bits": random_bits, "uniform": uniform, "normal": normal}
"""Of six u32 (counter, key) each; random_bits gives u32, the others f32."""

LIBRARY: dict[str, Callable[..., Any]] = {
    "exp": exp,
    "log": log,
    "tanh": tanh,
    "erf": erf,
    "sin": sin,
    "cos": cos,
    "rsqrt": rsqrt,
    "pow": power,
    **DRAWS,
}
"""Name to function; each takes the evaluator, then its values, and gives one value."""
