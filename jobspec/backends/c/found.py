"""What an index decides about a batch of a contraction: whose map it takes, or which stretch of k is its own.

Takes: the contraction's form and the positions outside its tiles. Promises: how many elements further the operands
begin, and how many steps of k there are: none where an index leaves the batch out, so that its sums are +0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobspec.backends.c.scope import Scope, walked
from jobspec.ir.contraction import Contraction, Extent
from jobspec.ir.kernel import View


@dataclass(frozen=True)
class Found:
    """C expressions. `a`, `b`: elements further; `steps`: how much of k takes part, in `at_most` steps."""

    steps: str
    at_most: int
    a: str = "0"
    b: str = "0"

    @property
    def fixed(self) -> bool:
        return self.steps == str(self.at_most)


def found_by_index(scope: Scope, form: Contraction, outer: Mapping[Extent, str]) -> Found:
    """`outer`: positions of the batch, and more."""
    w, k = scope.writer, form.k_size
    if form.owner is not None:
        owner = read(scope, form.owner.view, outer)
        further = w.let("long", f"({owner} < 0 ? 0l : (long){owner}) * {form.owner.pick}l", "further")
        steps = w.let("int", f"{owner} < 0 ? 0 : {k}", "steps")
        return Found(steps, k, further) if form.owner.side == "a" else Found(steps, k, "0", further)
    if form.span is not None:
        first, count = read(scope, form.span.first, outer), read(scope, form.span.count, outer)
        (a,), (b,) = form.ka, form.kb
        return Found(count, k, f"(long){first} * {a.a}l", f"(long){first} * {b.b}l")
    return Found(str(k), k)


def read(scope: Scope, view: View, outer: Mapping[Extent, str]) -> str:
    """The whole number that `view` has here."""
    scope.site.open((view,))
    terms = walked(outer.values(), (view.strides[e.axis] for e in outer))
    return scope.writer.let("int", f"{scope.site.pointer(view)}[{' + '.join(terms) or '0'}]", "found")
