"""What a run may cost, asked before anything of it runs.

Takes: a compiled job, what its user allows. Promises: memory and operations are known from the plan alone, and a job
above the budget is refused with both figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.errors import JobspecError
from jobspec.runtime.engine import Compiled
from jobspec.runtime.forecast import forecast


@dataclass(frozen=True)
class Budget:
    """`memory`: bytes at the fullest; `flop`: floating-point operations in all. None: as many as there are."""

    memory: int | None = None
    flop: float | None = None


def need_within(compiled: Compiled, threads: int, budget: Budget) -> None:
    """Raises JobspecError E0513 for a job that costs more."""
    if budget == Budget():
        return
    found = forecast(compiled.job, compiled.plan, compiled.backend, threads)
    taken = {"bytes of memory": (found.memory.peak, budget.memory), "FLOP": (found.total.operations, budget.flop)}
    for what, (needed, most) in taken.items():
        if most is not None and needed > most:
            reason = f"the job takes {needed:.4g} {what}, and {most:.4g} are allowed"
            raise JobspecError("E0513", reason, help="`jobspec plan` says what takes it; a larger budget allows it")
