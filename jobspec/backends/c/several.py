"""Scopes that compute a few neighbouring elements one by one, and reach memory for all of them at once.

Takes: a scope, an axis, how many neighbours (2 or 4), where the first lies: at a multiple of their number along the
axis. Promises: each element has the bits that it has alone. What does not vary along the axis is computed once.
Elements that lie together at a multiple of their number, wherever the others of the kernel's axes and loops stand, are
read and written in one access; all others one after another. Both dialects have the names (vload4, vstore4, VECTOR4).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, MutableMapping
from dataclasses import dataclass

from jobspec.backends.c.scalars import HELD, Typed
from jobspec.backends.c.scope import STORED, Scope, boundless, held, written
from jobspec.backends.nest import FOLDS
from jobspec.ir.kernel import WRITES, Inst, View, lie_together
from jobspec.ir.plan import Buffer
from jobspec.ir.types import SIZES


@dataclass(frozen=True)
class Several(Scope):
    """`axis`: that of the neighbours; `copies`: a scope for each; what they have in common is in `values`."""

    axis: int = -1
    lanes: tuple[Scope, ...] = ()

    @property
    def copies(self) -> tuple[Scope, ...]:
        return self.lanes

    @property
    def known(self) -> Collection[int]:
        return self.lanes[0].values

    def enter(self, axes: Iterable[int], positions: Iterable[str]) -> Several:
        at = dict(zip(axes, positions, strict=True))
        base = super().enter(at.keys(), at.values())
        return self._over(base, [lane.values for lane in self.lanes], at)

    def only(self, insts: Collection[int]) -> Several:
        return self._over(super().only(insts), [lane.only(insts).values for lane in self.lanes], {})

    def _over(self, base: Scope, values: Iterable[MutableMapping[int, Typed]], at: dict[int, str]) -> Several:
        """The same neighbours, with values of their own in front of the scope `base`."""
        lanes = tuple(
            Scope(self.site, {**lane.at, **at}, chained(base.values, own))
            for lane, own in zip(self.lanes, values, strict=True)
        )
        return Several(base.site, base.at, base.values, self.axis, lanes)

    # ---- values

    def run(self, insts: Iterable[int]) -> None:
        body = self.nest.kernel.body
        for i in sorted(insts):
            if i in self.known or body[i].op in (*FOLDS, *WRITES):
                continue
            if not self._varies(body[i]):
                super().run([i])
            elif body[i].op == "load" and self._together(body[i]):
                self._load_all(i)
            else:
                for lane in self.lanes:
                    lane.run([i])

    def _varies(self, inst: Inst) -> bool:
        """Whether its values differ from neighbour to neighbour."""
        own = inst["axis"] == self.axis if inst.op == "index" else False
        if inst.op in ("load", *WRITES):
            own = inst["view"].strides[self.axis] != 0
        return own or any(a not in self.values for a in inst.args)

    def _together(self, inst: Inst) -> bool:
        """Whether all of the neighbours' elements are one access; a gather's, where all go to one place."""
        placed = inst.args if inst.op == "load" else ()
        further = [inst["pick"]] if placed else []
        lies = lie_together(self.nest.kernel, inst["view"], self.axis, len(self.lanes), further)
        even = evenly(self._buffer(inst), len(self.lanes))
        return lies and even and all(a in self.values for a in placed)

    def _load_all(self, i: int) -> None:
        inst, n = self.nest.kernel.body[i], len(self.lanes)
        pointer, stored = self.site.pointer(inst["view"]), self._stored(inst)
        element = self.place(inst, *(self.values[a] for a in inst.args))
        loaded = self.writer.let(f"{stored}{n}", f"vload{n}(0, {pointer} + {element})", "v")
        for lane, part in zip(self.lanes, "xyzw", strict=False):
            element = held(self._buffer(inst), f"{loaded}.{part}")
            lane.values[i] = Typed(inst.dtype, self.writer.let(HELD[inst.dtype], element))

    def _stored(self, inst: Inst) -> str:
        return STORED[self._buffer(inst).type.dtype]

    def _buffer(self, inst: Inst) -> Buffer:
        view: View = inst["view"]
        return self.site.buffers[view.buffer]

    # ---- stores

    def store(self, stores: Iterable[int]) -> None:
        for i in stores:
            if self._together(self.nest.kernel.body[i]):
                self._store_all(self.nest.kernel.body[i])
            else:
                for lane in self.lanes:
                    lane.store([i])

    def _store_all(self, inst: Inst) -> None:
        values, n = [lane.values[inst.args[0]] for lane in self.lanes], len(self.lanes)
        if values[0].dtype == "f32" and inst["flag"] >= 0:
            self.raise_flag(inst["flag"], " | ".join(f"({boundless(value)})" for value in values))
        vector = f"VECTOR{n}({self._stored(inst)}, {', '.join(written(self._buffer(inst), value) for value in values)})"
        self.writer.line(f"vstore{n}({vector}, 0, {self.site.pointer(inst['view'])} + {self.element(inst['view'])});")


def several(scope: Scope, axis: int, count: int, first: str) -> Scope:
    """`count` neighbours along `axis` from `first` on, which is a multiple of their number; for 1 the one itself."""
    base = scope.enter((axis,), (first,))
    if count == 1:
        return base
    lanes = tuple(
        Scope(scope.site, {**base.at, axis: f"({first} + {lane})"}, chained(base.values, {})) for lane in range(count)
    )
    return Several(base.site, base.at, base.values, axis, lanes)


def chained(common: MutableMapping[int, Typed], own: MutableMapping[int, Typed]) -> ChainMap[int, Typed]:
    """Values of one neighbour, in front of those of all."""
    maps = [m for values in (common, own) for m in (values.maps if isinstance(values, ChainMap) else [values])]
    return ChainMap({}, *maps)


def evenly(buffer: Buffer, count: int) -> bool:
    """Whether the buffer begins at a multiple of `count` of its elements in memory, which itself does so."""
    return buffer.space != "group" and buffer.offset % (count * SIZES[buffer.type.dtype]) == 0


def dividing(size: int, count: int) -> int:
    """`count` where it divides `size`, else 1: each neighbour by itself."""
    return count if size % count == 0 else 1
