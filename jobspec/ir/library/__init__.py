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
from jobspec.ir.library.formats import bf16, f16
from jobspec.ir.library.hyperbolic import tanh
from jobspec.ir.library.integers import modulo
from jobspec.ir.library.logarithm import log
from jobspec.ir.library.power import power
from jobspec.ir.library.protocol import Scalars
from jobspec.ir.library.root import rsqrt
from jobspec.ir.library.trigonometric import cos, sin

__all__ = ["DRAWS", "LIBRARY", "Scalars", "operand_type"]

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
    "bf16": bf16,
    "f16": f16,
    "mod": modulo,
    **DRAWS,
}
"""Name to function; each takes the evaluator, then its values, and gives one value."""


def operand_type(name: str) -> str:
    """The element type that the library function `name` takes."""
    return "u32" if name in DRAWS else "i32" if name == "mod" else "f32"
