"""Schedules of kernels that go through memory row by row: whether what they write goes past the caches.

Takes: a kernel of kind rows or fill, a target. Promises: `past` = 1 where some tensor that the kernel writes and does
not read is larger than the largest cache: by the time it is read its beginning has left the cache anyway, and lines
that are not fetched before they are overwritten save a third of what memory moves.
"""

from __future__ import annotations

from math import prod

from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

PAST = Schedule((("past", 1),))
#: bytes of an element; smaller ones are hardly ever written in such amounts
ELEMENT = 4


def ranked(kernel: Kernel, target: Target) -> list[Schedule]:
    """Every schedule, the likeliest to be fast first."""
    return [PAST, Schedule()] if kernel.kind in ("rows", "fill") and floods(kernel, target) else [Schedule()]


def floods(kernel: Kernel, target: Target) -> bool:
    """Whether it writes more than a cache holds."""
    read = {view.buffer for view, written in kernel.views() if not written}
    fresh = [view for view, written in kernel.views() if written and view.buffer not in read]
    return any(ELEMENT * elements(kernel, view) > target.l3 for view in fresh)


def elements(kernel: Kernel, view: View) -> int:
    """How many different ones a view touches."""
    return prod(axis.size for axis, stride in zip(kernel.axes, view.strides, strict=True) if stride)
