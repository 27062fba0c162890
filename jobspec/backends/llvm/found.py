"""What an index decides about a batch of a contraction: whose map it takes, or which stretch of k is its own.

Takes: the contraction's form and a position along its batch. Promises: how many bytes further the operands begin, how
many steps of k there are, and whether there is anything to multiply at all. Emits nothing where no index decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.backends.llvm.builder import Int, int_of
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.scope import Site
from jobspec.backends.llvm.values import Value
from jobspec.backends.llvm.walks import times, total
from jobspec.ir.contraction import Contraction
from jobspec.ir.kernel import View


@dataclass(frozen=True)
class Found:
    """`a`, `b`: bytes further in the operands. `count`: steps of k, `used`: whether any; None: as the shape says."""

    a: Int = 0
    b: Int = 0
    count: Value | None = None
    used: Value | None = None


def found_by_index(f: Function, form: Contraction, site: Site, at: Sequence[Int]) -> Found:
    """`at`: positions along `form.outer`."""
    if form.owner is not None:
        owner = read(f, form, site, form.owner.view, at)
        known = f.intrinsic("smax", "i64", (owner, int_of(0)), ("i64",))
        further = times(f, known, 4 * form.owner.pick)
        a, b = (further, 0) if form.owner.side == "a" else (0, further)
        return Found(a, b, None, f.icmp("sge", owner, 0))
    if form.span is not None:
        first = read(f, form, site, form.span.first, at)
        count = read(f, form, site, form.span.count, at)
        (a,), (b,) = ([4 * e.a for e in form.ka], [4 * e.b for e in form.kb])
        return Found(times(f, first, a), times(f, first, b), count, f.icmp("sgt", count, 0))
    return Found()


def read(f: Function, form: Contraction, site: Site, view: View, at: Sequence[Int]) -> Value:
    """The whole number that `view` has here, as i64."""
    moved: Int = 0
    for position, extent in zip(at, form.outer, strict=True):
        moved = total(f, moved, times(f, position, 4 * view.strides[extent.axis]))
    return f.convert("sext", f.load("i32", f.offset(site.base(view), moved)), "i64")
