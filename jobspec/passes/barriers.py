"""Barriers: where threads must wait for one another.

Takes: steps and placed buffers. Promises: between two calls that touch the same bytes, at least one of
them writing, stands a barrier; calls that do not conflict run on without one. A loop's turns are
separated like its calls.
"""

from __future__ import annotations

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Barrier, Buffer, Call, Steps, Turns
from jobspec.ir.spans import NOTHING, spans


def insert_barriers(steps: Steps, kernels: tuple[Kernel, ...], buffers: tuple[Buffer, ...]) -> Steps:
    """`steps` with the barriers they need, one at the end included."""
    return (*guard(steps, kernels, buffers), Barrier())


def guard(steps: Steps, kernels: tuple[Kernel, ...], buffers: tuple[Buffer, ...]) -> Steps:
    result: list[Call | Barrier | Turns] = []
    before = NOTHING
    for step in steps:
        if isinstance(step, Call):
            here = spans(kernels[step.kernel], buffers)
            if here.meets(before):
                result.append(Barrier())
                before = NOTHING
            before |= here
            result.append(step)
        elif isinstance(step, Turns):
            inside = (*guard(step.steps, kernels, buffers), Barrier())
            result += [*([Barrier()] if before != NOTHING else []), Turns(step.count, step.reverse, inside)]
            before = NOTHING
    return tuple(result)
