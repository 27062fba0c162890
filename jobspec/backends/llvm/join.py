"""Groups of k that were summed apart: where their sums lie, and how they become one.

Takes: tiles of sums per group in shared memory. Promises: groups are whole subtrees of the contract's
tree (a power of two of leaves each, from a multiple of it on), so folding them by the adjacent tree
gives the bits of the unsplit sum. A task of the join is one vector of results.
"""

from __future__ import annotations

from jobspec.backends.llvm.emit import Function, Int
from jobspec.backends.llvm.epilogue import Epilogue
from jobspec.backends.llvm.tile import BYTES, VECTOR, WIDTH, Sums
from jobspec.backends.llvm.tiling import Tiling
from jobspec.backends.llvm.values import Value
from jobspec.backends.llvm.walks import digits, times, total
from jobspec.ir.contraction import size

Where = tuple[Int, Int, Int, Int]  #: outer turn, group, row, column


def store_group(f: Function, t: Tiling, where: Where, vectors: int, sums: Sums) -> None:
    """Put a tile's sums where the join finds them: by outer turn, row, vector, group."""
    outer, group, row, column = where
    vector = column // WIDTH if isinstance(column, int) else f.udiv(column, WIDTH)
    first = total(f, times(f, total(f, times(f, outer, size(t.form.m)), row), t.columns.length), vector)
    start = f.offset(f.params[2], times(f, total(f, times(f, first, t.groups), group), BYTES))
    for i, value in enumerate(sums):
        apart = (i // vectors * t.columns.length + i % vectors) * t.groups
        f.store(value, f.offset(start, apart * BYTES), BYTES)


def join_groups(f: Function, t: Tiling, finish: Epilogue) -> None:
    """The whole function of the second phase."""
    lo, hi = f.params[4:6]
    extents, rows = t.form.outer, size(t.form.m)
    last_lanes = t.form.n[-1].size - WIDTH * (t.columns.length - 1)

    def one(task: Value) -> None:
        outer, row, vector = digits(f, task, [t.outer, rows, t.columns.length])
        start = f.offset(f.params[2], f.imul(task, t.groups * BYTES))
        sums = _folded(f, [f.load(VECTOR, f.offset(start, g * BYTES), BYTES) for g in range(t.groups)])
        panel = finish.panel(digits(f, outer, [e.size for e in extents]), times(f, vector, WIDTH))
        scope = finish.row(panel, row)
        if last_lanes == WIDTH:
            finish.vector(scope, 0, WIDTH, sums)
        else:
            whole = f.icmp("slt", vector, t.columns.length - 1)
            f.when(
                whole,
                lambda: finish.vector(scope, 0, WIDTH, sums),
                lambda: finish.vector(scope, 0, last_lanes, sums),
            )

    f.loop(lo, hi, 1, one)
    f.ret()


def _folded(f: Function, sums: Sums) -> Value:
    """The adjacent tree."""
    while len(sums) > 1:
        pairs = [f.fadd(a, b) for a, b in zip(sums[::2], sums[1::2], strict=False)]
        sums = pairs + sums[len(sums) & ~1 :]
    return sums[0]
