"""Native code of long rows through memory: the last pass of a row goes along with the dearest of the next row.

Takes: a kernel of kind rows with reductions whose rows are swept. Promises: row order exactly. The last pass of most
kernels writes and computes little, the dearest one computes; together they keep memory and arithmetic busy at once.
Both use the same scratch: what a row kept is taken at each position just before the next row overwrites it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jobspec.backends.llvm.evaluate import put, run, run_stores
from jobspec.backends.llvm.scope import Scope, digits
from jobspec.backends.llvm.sweeps import Keeping, dearest, roots, sweep, taken
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest


def can_trail(nest: Nest, keeping: Keeping) -> bool:
    """Whether the last pass may wait for the dearest one of the next row: that one must be another, and the one that
    makes all of what the last takes from scratch."""
    along = dearest(nest, keeping)
    return along < nest.last and all(keeping.first[i] == along for i in taken(nest, keeping.first, nest.last))


@dataclass(frozen=True)
class Train:
    """Rows of `size` elements one behind the other. `entry`: the scope outside all loops; `keeping`: with scratch."""

    entry: Scope
    size: int
    keeping: Keeping

    @property
    def nest(self) -> Nest:
        return self.entry.nest

    @cached_property
    def ending(self) -> frozenset[int]:
        """What the last pass and what comes after it need."""
        last = self.nest.last
        return self.nest.needed([*roots(self.nest, last), *self.nest.stores(last, False)])

    @property
    def carried(self) -> list[int]:
        """Reductions whose results a row hands on to its last pass."""
        return [i for i in sorted(self.ending) if self.nest.kernel.body[i].op == "reduce"]

    def row(self, number: Value) -> Scope:
        """Inside row `number`."""
        sizes = [self.nest.kernel.axes[axis].size for axis in self.nest.groups[0]]
        return self.entry.enter(self.nest.groups[0], digits(self.entry.f, number, sizes))

    def ended(self, number: Value, results: Sequence[Value]) -> Scope:
        """Row `number` as its last pass finds it."""
        scope = self.row(number)
        for i, value in zip(self.carried, results, strict=True):
            put(scope, i, value)
        run(scope, 1, self.ending)
        return scope


def go(train: Train, lo: Value, hi: Value) -> None:
    """Rows from `lo` on, up to `hi`."""
    f, nest = train.entry.f, train.nest

    def following(number: Value, *results: Value) -> list[Value]:
        return begin(train, number, train.ended(f.isub(number, 1), results))

    def whole() -> None:
        results = f.loop(f.iadd(lo, 1), hi, 1, following, begin(train, lo, None))
        end = train.ended(f.isub(hi, 1), results)
        sweep([end], nest.last, train.size, [train.keeping])
        run_stores([end], nest.stores(nest.last, False))

    f.when(f.icmp("slt", lo, hi), whole)


def begin(train: Train, number: Value, behind: Scope | None) -> list[Value]:
    """All passes of row `number` but the last, and that one of the row `behind`; what the row hands on."""
    nest, scope = train.nest, train.row(number)
    for p in range(nest.last):
        run(scope, 1, [i for i in sorted(nest.live) if nest.passes[i] == p])
        along = behind if p == dearest(nest, train.keeping) else None
        (found,) = sweep([scope], p, train.size, [train.keeping], along)
        for i, value in found.items():
            put(scope, i, value)
        run_stores([scope], nest.stores(p, False))
        if along:
            run_stores([along], nest.stores(nest.last, False))
    return [scope.values[i] for i in train.carried]
