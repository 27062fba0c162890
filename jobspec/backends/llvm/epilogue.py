"""What a contraction does with its sums: the rest of the kernel's body, a vector at a time.

Takes: a kernel with one product, its normal form, and for each vector of sums where it stands. Promises:
every inst is evaluated at its own depth (once per panel, per row, per vector) by evaluate.py; lanes
past the end of n are not stored and raise no flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobspec.backends.llvm.convention import Place
from jobspec.backends.llvm.emit import Function, Int
from jobspec.backends.llvm.evaluate import get, put, run, run_stores
from jobspec.backends.llvm.scope import WIDTH, Scope, Site, opened
from jobspec.backends.llvm.values import Value, prefix_mask
from jobspec.backends.llvm.walks import digits
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Contraction
from jobspec.ir.kernel import Kernel, View

OUTER, ROW, LANE = 1, 2, 3  #: depths of the nest


@dataclass(frozen=True)
class Epilogue:
    """`top`: the scope outside all loops."""

    kernel: Kernel
    form: Contraction
    top: Scope
    insts: frozenset[int]

    def panel(self, outer: Sequence[Int], column: Int) -> Scope:
        """The scope of one panel: positions along batch and all but the last of n, first column along the last."""
        axes = [extent.axis for extent in self.form.outer]
        scope = self.top.enter(axes, outer)
        run(scope, OUTER, self.insts)
        return scope.enter([self.form.n[-1].axis], [column])

    def row(self, panel: Scope, row: Int) -> Scope:
        """The scope of one row of m, flattened."""
        scope = panel.enter([e.axis for e in self.form.m], digits(panel.f, row, [e.size for e in self.form.m]))
        run(scope, ROW, self.insts)
        return scope

    def lines(self, panel: Scope, row: Int) -> list[tuple[Value, bool]]:
        """Where the panel's first lane of a row lies in what is read or written lane by lane, row by row."""
        lane, rows = self.form.n[-1].axis, [e.axis for e in self.form.m]
        moving = {v: w for v, w in self._views() if v.strides[lane] == 1 and any(v.strides[a] for a in rows)}
        there = panel.only(moving).enter(rows, digits(panel.f, row, [e.size for e in self.form.m]))
        return [(there.pointers[view], written) for view, written in moving.items()]

    def _views(self) -> list[tuple[View, bool]]:
        """Those read, then those written."""
        body = self.kernel.body
        touched = [(body[i]["view"], body[i].op == "store") for i in self.insts if body[i].op in ("load", "store")]
        return sorted(touched, key=lambda found: found[1])

    def start(self, row: Scope, vector: int, lanes: int) -> Value:
        """What the sums of a vector begin with."""
        scope = row.lanes(vector, None if lanes == WIDTH else prefix_mask(lanes, WIDTH))
        run(scope, LANE, scope.nest.needed([self.form.start]))
        return get(scope, self.form.start, True)

    def vector(self, row: Scope, vector: int, lanes: int, sums: Value) -> None:
        """Finish `lanes` sums, `vector` vectors right of the panel's first column."""
        scope = row.lanes(vector, None if lanes == WIDTH else prefix_mask(lanes, WIDTH))
        put(scope, self.form.product, sums)
        run(scope, LANE, self.insts)
        run_stores([scope], self._stores)

    @property
    def _stores(self) -> list[int]:
        return [i for i, inst in enumerate(self.kernel.body) if inst.op == "store"]


def epilogue(f: Function, kernel: Kernel, form: Contraction, places: Sequence[Place], flags: Place) -> Epilogue:
    """Opens the top scope: call it at the start of the function."""
    nest = nest_of(kernel, form)
    stores = [i for i, inst in enumerate(kernel.body) if inst.op == "store"]
    insts = nest.needed([*stores, form.start] if form.chain else stores)
    scope = opened(Site(f, nest, places, flags), insts)
    scope = replace(scope, index=dict.fromkeys(range(len(kernel.axes)), 0))
    run(scope, 0, insts)
    return Epilogue(kernel, form, scope, insts)


def nest_of(kernel: Kernel, form: Contraction) -> Nest:
    """Loops over batch and outer n, over m, over the lanes; the product comes with the lanes."""
    lane = form.n[-1]
    m_role = kernel.axes[form.m[-1].axis].role
    n_role = kernel.axes[lane.axis].role
    lanes = _run_of(kernel, form, n_role)
    outer = [a for a in kernel.axes_of("batch", n_role) if a not in lanes]
    groups = (tuple(outer), tuple(kernel.axes_of(m_role)), tuple(lanes))
    return Nest(kernel, groups, lane.axis, len(groups))


def _run_of(kernel: Kernel, form: Contraction, role: str) -> list[int]:
    """The axes that were merged into the last extent of n."""
    before = form.n[-2].axis if len(form.n) > 1 else -1
    return [a for a in kernel.axes_of(role) if before < a <= form.n[-1].axis]
