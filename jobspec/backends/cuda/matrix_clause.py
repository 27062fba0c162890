"""The clauses of the profile `jobspec.fast.v1`: one that a GPU has to answer before it is admitted, and one before it
is admitted to the class whose matrix instructions work on the side.

Takes: how a device runs one kernel by a schedule. Promises: every tile of matrix instructions gives the same bits, also
with rows and columns exchanged (so that no schedule decides about one), and none is further from the contract's sum
than 2^-16 of the sum of the products' sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jobspec.backends.conformance.examine import Tried
from jobspec.backends.conformance.sheet import Case, Sheet
from jobspec.backends.conformance.vectors import noisy
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Axis, View
from jobspec.ir.plan import Schedule

ASIDE_CLAUSE = "matrix instructions on the side: every tile has the same bits, near the contract's"
CLAUSE = "matrix instructions: every tile has the same bits, near the contract's"
#: m, n, k: b is fetched number by number, and in fours; of both are parts of tiles
SIZES = ((19, 21, 300), (19, 24, 300))
NEAR = 2.0**-16
#: pieces and groups each way, steps at a time: of each kind that plans hold
SHAPES = ((1, 1, 1, 1, 16), (1, 2, 2, 2, 32), (2, 4, 2, 2, 16), (4, 4, 2, 4, 32), (4, 8, 2, 2, 32))
#: of instructions on the side: columns of a group of 128, such groups each way, stages of operands copied first
ASIDE_SHAPES = ((64, 1, 1, 0), (256, 2, 1, 4), (64, 2, 2, 0), (128, 1, 1, 3))


def matrix_clause(run: Tried) -> str:
    """What is wrong, empty where nothing is."""
    return wrong_with(run, list(schedules(("rows", "columns", "high", "wide", "stage"), SHAPES)))


def aside_clause(run: Tried) -> str:
    """The same of instructions on the side."""
    return wrong_with(run, list(schedules(("aside", "high", "wide", "stages"), ASIDE_SHAPES)))


def wrong_with(run: Tried, tried: Sequence[Schedule]) -> str:
    return next(filter(None, (wrong_in(run, product(*size), tried) for size in SIZES)), "")


def wrong_in(run: Tried, case: Case, tried: Sequence[Schedule]) -> str:
    found = [run(case.kernel, case.arrays, schedule)[-1] for schedule in tried]
    if any(other.tobytes() != found[0].tobytes() for other in found[1:]):
        return "two tiles of one product differ"
    wanted, most = reference(case, case.arrays), reference(case, tuple(np.abs(x) for x in case.arrays))
    return "" if (np.abs(found[0] - wanted) <= NEAR * most).all() else "a sum is too far from the contract's"


def product(m: int, n: int, k: int) -> Case:
    """Of matrices that hold bfloat16."""
    sheet = Sheet((Axis(m, "m"), Axis(n, "n"), Axis(k, "k")))
    sums = sheet.op("product", a=View(0, 0, (k, 0, 1)), b=View(1, 0, (0, 1, n)), own=1)
    sheet.store(sums, 2, (n, 1, 0))
    operands = (narrow(noisy(m * k)), narrow(noisy(k * n, 2)))
    return sheet.case(CLAUSE, "contract", *operands, np.zeros(m * n, np.float32))


def narrow(x: Array) -> Array:
    found: Array = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return found


def schedules(names: Sequence[str], shapes: Sequence[Sequence[int]]) -> Iterator[Schedule]:
    for shape in shapes:
        named = dict(zip(names, shape, strict=True))
        yield from (Schedule.of(matrices=1, swap=swap, **named) for swap in (0, 1))


def reference(case: Case, given: tuple[Array, ...]) -> Array:
    arrays = [x.copy() for x in given]
    run_kernel(case.kernel, arrays, np.zeros(1, np.int32))
    return arrays[-1]
