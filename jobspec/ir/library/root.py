"""rsqrt: one over the square root.

Takes: f32. Promises: two operations, 1 / sqrt(x), within 1.5 ulp; rsqrt(0) = inf with the zero's sign.
"""

from __future__ import annotations

from jobspec.ir.library.protocol import Scalars, V


def rsqrt(b: Scalars[V], x: V) -> V:
    """1 / sqrt(x)."""
    return b.div(b.f32(1.0), b.sqrt(x))
