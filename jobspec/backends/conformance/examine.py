"""A device examined by the conformance pack.

Takes: how a device runs one kernel. Promises: each clause answered, with the first element that is wrong; what is
right, the reference interpreter says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from jobspec.backends.conformance.pack import pack
from jobspec.backends.conformance.sheet import Case
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule

#: a kernel and the arrays it starts from → the arrays as it leaves them
Run = Callable[[Kernel, Sequence[Array]], Sequence[Array]]
#: the same, by a schedule
Tried = Callable[[Kernel, Sequence[Array], Schedule], Sequence[Array]]


def examine(run: Run) -> Iterator[tuple[str, str]]:
    """(clause, what is wrong) for every case; empty where nothing is."""
    for case in pack():
        yield case.clause, answer(case, run)


class Disagreement(Exception):
    """Two schedules of one kernel gave different bits."""


def agreeing(run: Tried, schedules: Mapping[str, Sequence[Schedule]]) -> Run:
    """Every schedule that a plan may hold for the kernel's kind; they must give the same bits."""

    def all_of(kernel: Kernel, arrays: Sequence[Array]) -> Sequence[Array]:
        results = [run(kernel, arrays, schedule) for schedule in schedules.get(kernel.kind, (Schedule(),))]
        for other in results[1:]:
            if any(a.tobytes() != b.tobytes() for a, b in zip(results[0], other, strict=True)):
                raise Disagreement("two schedules of one kernel differ")
        return results[0]

    return all_of


def answer(case: Case, run: Run) -> str:
    """What is wrong with the device's result, empty where nothing is."""
    wanted = [array.copy() for array in case.arrays]
    run_kernel(case.kernel, wanted, np.zeros(1, np.int32))
    try:
        found = run(case.kernel, case.arrays)
    except Exception as error:  # whatever a driver throws is its answer
        return reason(error)
    return difference(wanted[-1], found[-1])


def difference(wanted: Array, found: Array) -> str:
    bits = f"u{wanted.dtype.itemsize}"
    wrong = np.flatnonzero(wanted.view(bits) != found.view(bits))
    if not len(wrong):
        return ""
    at = int(wrong[0])
    return f"{len(wrong)} of {wanted.size} differ, the first at {at}: {found[at]!r}, not {wanted[at]!r}"


def reason(error: Exception) -> str:
    """The line of a driver's complaint that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line.lower()]
    return f"{type(error).__name__}: {[*telling, *lines, 'no reason given'][0]}"
