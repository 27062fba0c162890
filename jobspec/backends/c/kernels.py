"""C text of any kernel: one renderer per kind.

Takes: a kernel, its schedule, the routine's buffers. Promises: functions appended to the writer, and how they
are launched, one after another.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.backends.c import (
    blocks,
    contract,
    folded,
    maps,
    matrices,
    matrices_aside,
    matrices_packed,
    parted,
    route,
    scatter,
    short,
    strips,
    tiled,
)
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.writer import Writer
from jobspec.ir.errors import CompileError
from jobspec.ir.kernel import reduces
from jobspec.ir.types import HALVES

ANEW = "compile the job again for the backend that is to run it"


def render(q: Request, writer: Writer) -> list[Launch]:
    """Append the functions of the kernel, whose symbols begin with `q.name`."""
    return RENDERERS[q.kernel.kind](q, writer)


def of_fold(q: Request, writer: Writer) -> list[Launch]:
    if not reduces(q.kernel):
        return maps.render(q, writer)
    if blocks.suits(q):
        return blocks.render(q, writer)
    if q.kernel.kind == "columns" and q.schedule.get("lanes", 1) > 1:
        return strips.render(q, writer)
    if q.kernel.kind == "rows" and short.suits(q.kernel, q.schedule.get("lanes", 1), q.schedule.get("rows", 0)):
        return short.render(q, writer)
    shared_out = q.schedule.get("parts", 1) > 1 and q.kernel.kind == "columns" and parted.suits(q.kernel)
    return parted.render(q, writer) if shared_out else folded.render(q, writer)


def of_products(q: Request, writer: Writer) -> list[Launch]:
    form = q.form
    if q.schedule.get("matrices", 0) and form.plain and form.own:
        if q.schedule.get("stages", 0):
            return matrices_packed.render(q, writer)
        return matrices_aside.render(q, writer) if q.schedule.get("aside", 0) else matrices.render(q, writer)
    if any(q.buffers[view.buffer].type.dtype == HALVES for view in (form.a, form.b)):
        reason = "this plan multiplies numbers that lie in two bytes, which matrix instructions alone do, without them"
        raise CompileError("E0607", reason, help=ANEW)
    if form.chain:
        reason = "this plan adds the leaves of a product to a sum one after another, which native code alone does"
        raise CompileError("E0607", reason, help=ANEW)
    return tiled.render(q, writer) if q.schedule.get("stage", 0) and form.plain else contract.render(q, writer)


RENDERERS: dict[str, Callable[[Request, Writer], list[Launch]]] = {
    "rows": of_fold,
    "columns": of_fold,
    "fill": maps.render,
    "contract": of_products,
    "scatter": scatter.render,
    "route": route.render,
}
