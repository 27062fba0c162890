"""What a run may cost, asked before anything of it runs.

Takes: a compiled job, what its user allows. Promises: memory and operations are known from the plan alone, and a job
above the budget is refused with both figures.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.amounts import in_bytes
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
    memory, flop = found.memory.peak, found.total.operations
    if budget.memory is not None and memory > budget.memory:
        raise above(f"{in_bytes(memory)} of memory", in_bytes(budget.memory))
    if budget.flop is not None and flop > budget.flop:
        raise above(f"{flop:.4g} FLOP", f"{budget.flop:.4g}")


def above(needed: str, most: str) -> JobspecError:
    help = "`jobspec plan` says what takes it; a larger budget allows it"
    return JobspecError("E0513", f"the job takes {needed}, and {most} is allowed", help=help)
