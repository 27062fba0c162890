"""Barriers: where threads must wait for one another.

Takes: steps and placed buffers. Promises: between two calls that touch the same bytes, at least one of
them writing, stands a barrier; calls that do not conflict run on without one. A loop's turns are
separated like its calls.
"""

from __future__ import annotations

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Barrier, Buffer, Call, Steps, Turns

Span = tuple[str, int, int]


def insert_barriers(steps: Steps, kernels: tuple[Kernel, ...], buffers: tuple[Buffer, ...]) -> Steps:
    """`steps` with the barriers they need, one at the end included."""
    return (*guard(steps, kernels, buffers), Barrier())


def guard(steps: Steps, kernels: tuple[Kernel, ...], buffers: tuple[Buffer, ...]) -> Steps:
    result: list[Call | Barrier | Turns] = []
    reads: set[Span] = set()
    writes: set[Span] = set()
    for step in steps:
        if isinstance(step, Call):
            r, w = spans(kernels[step.kernel], buffers)
            if conflict(w, reads | writes) or conflict(r, writes):
                result.append(Barrier())
                reads, writes = set(), set()
            reads, writes = reads | r, writes | w
            result.append(step)
        elif isinstance(step, Turns):
            inside = (*guard(step.steps, kernels, buffers), Barrier())
            result += [*([Barrier()] if reads or writes else []), Turns(step.count, step.reverse, inside)]
            reads, writes = set(), set()
    return tuple(result)


def spans(kernel: Kernel, buffers: tuple[Buffer, ...]) -> tuple[set[Span], set[Span]]:
    """Byte ranges that a kernel reads and writes."""
    reads: set[Span] = set()
    writes: set[Span] = set()
    for view, written in kernel.views():
        buffer = buffers[view.buffer]
        (writes if written else reads).add((buffer.space, buffer.offset, buffer.offset + buffer.type.nbytes))
    return reads, writes


def conflict(some: set[Span], others: set[Span]) -> bool:
    return any(s == o and a < d and c < b for s, a, b in some for o, c, d in others)
