"""Native code of any kernel: one generator per kind.

Takes: a kernel, its schedule, where its buffers lie. Promises: functions of the convention
(convention.py) appended to the module, and how they are run.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.backends.llvm import columns, contract, maps, route, rows, scatter
from jobspec.backends.llvm.convention import Native, Place
from jobspec.backends.llvm.emit import Module
from jobspec.backends.llvm.request import Request
from jobspec.backends.nest import Nest
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule


def generate(
    module: Module, name: str, kernel: Kernel, schedule: Schedule, places: tuple[Place, ...], flags: Place
) -> Native:
    """Append the functions of `kernel`, whose symbols begin with `name`; `flags`: place of the first flag word."""
    return GENERATORS[kernel.kind](Request(module, name, kernel, schedule, places, flags))


def folds(q: Request) -> bool:
    """Whether a reduction reaches a store."""
    return any(q.kernel.body[i].op == "reduce" for i in Nest(q.kernel, (), -1, 0).live)


def of_rows(q: Request) -> Native:
    return rows.generate(q) if folds(q) else maps.generate(q)


def of_columns(q: Request) -> Native:
    return columns.generate(q) if folds(q) else maps.generate(q)


def of_contract(q: Request) -> Native:
    return contract.generate(q.module, q.name, q.kernel, q.schedule, q.places, q.flags)


GENERATORS: dict[str, Callable[[Request], Native]] = {
    "rows": of_rows,
    "fill": maps.generate,
    "columns": of_columns,
    "contract": of_contract,
    "scatter": scatter.generate,
    "route": route.generate,
}
