"""How often to save, and what interruptions leave of the time.

Takes: seconds to write a checkpoint, to restart, between interruptions. Promises: the interval that loses least by Daly
2006 ("A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation Computer Systems
22, 303–312), whose first term is Young's 1974 sqrt(2 d M).
"""

from __future__ import annotations

from math import exp, expm1, sqrt


def interval(write: float, between: float) -> float:
    """Seconds of training between two checkpoints. `write`: seconds to write one; `between`: mean time between
    interruptions."""
    if write >= 2 * between:
        return between
    part = write / (2 * between)
    return sqrt(2 * write * between) * (1 + sqrt(part) / 3 + part / 9) - write


def effective(every: float, write: float, restart: float, between: float) -> float:
    """The fraction of the time in which training gets on; interruptions come independently of each other."""
    return every / (between * exp(restart / between) * expm1((every + write) / between))
