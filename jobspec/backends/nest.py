"""A kernel's insts placed in a nest of loops: at which depth, in which pass, one lane or many.

Takes: a kernel, its axes grouped by loop (outermost first), the axis that vectors run along, the group
that reductions fold. Promises: nothing is emitted here. Depth 0 is outside all loops, depth d inside the
first d groups; an inst is placed at the deepest loop it varies over. Pass p of the folded loop can use the results of
reductions of the passes before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from jobspec.ir.kernel import WRITES, Inst, Kernel, View

FOLDS = ("reduce", "product")
#: kind → roles of the axes that results have, and of those that are folded
FOLDED = {"rows": ("outer", "row"), "columns": ("kept", "reduced")}


@dataclass(frozen=True)
class Nest:
    """`vector`: an axis; `fold`: number of the folded group, len(groups) where nothing is folded."""

    kernel: Kernel
    groups: tuple[tuple[int, ...], ...]
    vector: int
    fold: int

    @classmethod
    def of_folds(cls, kernel: Kernel) -> Nest:
        """Of a kernel of kind rows or columns: results outside, what is folded inside, no vectors."""
        results, folded = (tuple(kernel.axes_of(role)) for role in FOLDED[kernel.kind])
        return cls(kernel, (results, folded), -1, 1)

    def varies(self, inst: Inst) -> frozenset[int]:
        """Axes longer than 1 that the inst's own index or view moves along."""
        if inst.op == "index":
            axes: Iterable[int] = (inst["axis"],)
        elif inst.op in ("load", *WRITES):
            axes = (i for i, stride in enumerate(inst["view"].strides) if stride)
        else:
            axes = ()
        return frozenset(i for i in axes if self.kernel.axes[i].size > 1)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        found: list[int] = []
        for inst in self.kernel.body:
            own = self.varies(inst)
            depths = [g + 1 for g, axes in enumerate(self.groups) if own.intersection(axes)]
            below = [self.fold] if inst.op in FOLDS else [found[a] for a in inst.args]
            found.append(max([0, *depths, *below]))
        return tuple(found)

    @cached_property
    def wide(self) -> tuple[bool, ...]:
        """Whether the inst has a value per lane."""
        folds_lanes = self.fold < len(self.groups) and self.vector in self.groups[self.fold]
        found: list[bool] = []
        for inst in self.kernel.body:
            if inst.op in FOLDS:
                found.append(not folds_lanes)
            else:
                found.append(self.vector in self.varies(inst) or any(found[a] for a in inst.args))
        return tuple(found)

    @cached_property
    def spread(self) -> frozenset[int]:
        """Insts of one lane that an inst of many lanes (or a reduction over lanes) uses."""
        users = [i for i, inst in enumerate(self.kernel.body) if self.wide[i] or inst.op == "reduce"]
        return frozenset(a for i in users for a in self.kernel.body[i].args if not self.wide[a])

    @cached_property
    def passes(self) -> tuple[int, ...]:
        """A store into a buffer that is also loaded waits for the last pass, which may load it again."""
        found: list[int] = []
        for inst in self.kernel.body:
            found.append(max((found[a] + (self.kernel.body[a].op == "reduce") for a in inst.args), default=0))
        last = max(found)
        return tuple(last if self.in_place(i) else p for i, p in enumerate(found))

    @cached_property
    def loaded(self) -> frozenset[int]:
        """Buffers that are loaded."""
        return frozenset(view.buffer for view, written in self.kernel.views() if not written)

    def in_place(self, i: int) -> bool:
        inst = self.kernel.body[i]
        return inst.op == "store" and inst["view"].buffer in self.loaded

    @cached_property
    def last(self) -> int:
        return max(self.passes)

    @property
    def depth(self) -> int:
        """Of the innermost loop."""
        return len(self.groups)

    def stores(self, number: int, inner: bool) -> list[int]:
        """Stores of pass `number`, inside the folded loop or outside it."""
        body = self.kernel.body
        chosen = (i for i, inst in enumerate(body) if inst.op == "store" and self.passes[i] == number)
        return [i for i in chosen if (self.depths[i] > self.fold) == inner]

    def reduces(self, number: int) -> list[int]:
        return [i for i in sorted(self.live) if self.kernel.body[i].op == "reduce" and self.passes[i] == number]

    def needed(self, roots: Iterable[int], have: Collection[int] = ()) -> frozenset[int]:
        """Insts that `roots` are computed from, themselves included; not those in `have`, nor what is behind them or
        behind a fold."""
        found: set[int] = set()
        stack = list(roots)
        while stack:
            i = stack.pop()
            if i in found or i in have:
                continue
            found.add(i)
            if self.kernel.body[i].op not in FOLDS:
                stack.extend(self.kernel.body[i].args)
        return frozenset(found)

    @cached_property
    def live(self) -> frozenset[int]:
        """All that stores depend on, reductions and what they fold included."""
        found: frozenset[int] = frozenset()
        roots = [i for i, inst in enumerate(self.kernel.body) if inst.op in WRITES]
        while roots:
            found |= self.needed(roots)
            folds = (i for i in found if self.kernel.body[i].op == "reduce")
            roots = [a for i in folds for a in self.kernel.body[i].args if a not in found]
        return found

    def at(self, depth: int, insts: Collection[int]) -> list[int]:
        """Those of `insts` that are computed at `depth`: values only, in order."""
        body = self.kernel.body
        return [i for i in sorted(insts) if self.depths[i] == depth and body[i].op not in (*WRITES, *FOLDS)]

    def inner(self, insts: Iterable[int]) -> list[int]:
        """Those of `insts` that belong in the innermost loop."""
        return [i for i in insts if self.depths[i] == self.depth]

    def views(self, insts: Iterable[int]) -> list[View]:
        """Views of loads, stores and accumulations among `insts`."""
        chosen = (self.kernel.body[i] for i in sorted(insts))
        return list(dict.fromkeys(inst["view"] for inst in chosen if inst.op in ("load", *WRITES)))

    def size(self, group: int) -> int:
        """How many turns the loops of a group make."""
        turns = 1
        for axis in self.groups[group]:
            turns *= self.kernel.axes[axis].size
        return turns
