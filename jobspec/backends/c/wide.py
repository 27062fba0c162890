"""Scopes that compute neighbouring elements in one, in vectors.

Takes: a scope, the axis along which the elements lie, how many there are. Promises: each has the bits that it has
alone (wide_scalars.py). A value that does not vary along the axis stays a scalar until an operation needs it in every
lane.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from jobspec.backends.c.scalars import Typed
from jobspec.backends.c.scope import STORED, Scope
from jobspec.backends.c.wide_scalars import LANE, WideScalars
from jobspec.ir.kernel import Inst, View
from jobspec.ir.library.apply import apply

#: C types of elements in memory that a vector is made of as they lie there
WHOLE = ("float", "int", "uint")


@dataclass(frozen=True)
class WideScope(Scope):
    """`lanes` elements along `axis`, from its position on."""

    lanes: int = 1
    axis: int = -1

    @classmethod
    def of(cls, scope: Scope, axis: int, lanes: int) -> WideScope:
        return cls(scope.site, scope.at, scope.values, lanes, axis)

    def enter(self, axes: Iterable[int], positions: Iterable[str]) -> WideScope:
        values = ChainMap({}, *(self.values.maps if isinstance(self.values, ChainMap) else [self.values]))
        return replace(self, at={**self.at, **dict(zip(axes, positions, strict=True))}, values=values)

    @property
    def wide(self) -> WideScalars:
        return WideScalars(self.writer, self.lanes)

    @property
    def width(self) -> int:
        return self.lanes

    def everywhere(self, i: int) -> str:
        return self.wide.spread(self.values[i]).text

    def _computed(self, inst: Inst) -> Typed:
        if inst.op == "index" and inst["axis"] == self.axis:
            counts = ", ".join(map(str, range(self.lanes)))
            return self._named("i32", f"(int{self.lanes})((int)({self.at[self.axis]})) + (int{self.lanes})({counts})")
        args = [self.values[a] for a in inst.args]
        if inst.op == "load":
            wide = inst["view"].strides[self.axis] or any(a.lanes > 1 for a in args)
            return self._gathered(inst, *args) if wide else super()._computed(inst)
        if all(a.lanes == 1 for a in args):
            return super()._computed(inst)
        kinds = [self.nest.kernel.body[a].dtype for a in inst.args]
        return apply(self.wide, inst.op, kinds[-1], inst.dtype, tuple(map(self.wide.spread, args)))

    def _named(self, dtype: str, text: str) -> Typed:
        return Typed(dtype, self.writer.let(f"{LANE[dtype]}{self.lanes}", text), self.lanes)

    def _gathered(self, inst: Inst, *picked: Typed) -> Typed:
        view = inst["view"]
        pointer, stored = self.site.pointer(view), STORED[self.site.buffers[view.buffer].type.dtype]
        if view.strides[self.axis] == 1 and stored in WHOLE and all(a.lanes == 1 for a in picked):
            moved = "".join(f" + {self.picked(inst, a)}" for a in picked)
            return self._named(inst.dtype, f"vload{self.lanes}(0, {pointer} + {self.element(view)}{moved})")
        further = self._further(inst, self.wide.spread(picked[0])) if picked else [""] * self.lanes
        elements = [f"{pointer}[{at}{more}]" for at, more in zip(self._elements(view), further, strict=True)]
        if self.site.buffers[view.buffer].type.dtype == "bool":
            elements = [f"-(int)({element} != 0)" for element in elements]
        return self._named(inst.dtype, f"({LANE[inst.dtype]}{self.lanes})({', '.join(elements)})")

    def _elements(self, view: View) -> list[str]:
        """The element of each lane."""
        stride = view.strides[self.axis]
        first = self.writer.let(self.site.index, self.element(view), "e")
        return [f"{first} + {lane * stride}" for lane in range(self.lanes)]

    def _further(self, inst: Inst, index: Typed) -> list[str]:
        """Elements that a checked index adds, lane by lane."""
        mask = self._named("bool", f"as_uint{self.lanes}({index.text}) < {inst['bound']}u")
        if inst["flag"] >= 0:
            self.raise_flag(inst["flag"], f"any(~{mask.text})")
        known = self._named("i32", f"as_int{self.lanes}({index.text}) & {mask.text}")
        return [f" + ({self.site.index}){part} * {inst['pick']}" for part in self._parts(known)]

    def _parts(self, value: Typed) -> list[str]:
        return [f"{value.text}.s{lane:x}" for lane in range(self.lanes)]

    def _store(self, inst: Inst, value: Typed) -> None:
        view, value = inst["view"], self.wide.spread(value)
        if value.dtype == "f32":
            value = self._checked(inst, self._named("f32", value.text))
        pointer, stored = self.site.pointer(view), STORED[self.site.buffers[view.buffer].type.dtype]
        if view.strides[self.axis] == 1 and stored in WHOLE:
            self.writer.line(f"vstore{self.lanes}({value.text}, 0, {pointer} + {self.element(view)});")
            return
        named = self._named(value.dtype, value.text)
        parts = [f"{part} != 0" if value.dtype == "bool" else part for part in self._parts(named)]
        for at, part in zip(self._elements(view), parts, strict=True):
            self.writer.line(f"{pointer}[{at}] = {part};")

    def _checked(self, inst: Inst, value: Typed) -> Typed:
        """A canonical NaN in its place; the flag raised for what is not finite."""
        if inst["flag"] >= 0:
            words = f"as_uint{self.lanes}({value.text})"
            self.raise_flag(inst["flag"], f"any(({words} & 0x7f800000u) == 0x7f800000u)")
        return self._named("f32", f"f_canonical{self.lanes}({value.text})")


def neighbours(outer: Scope, axis: int, lanes: int, first: str, body: Callable[[Scope], None]) -> None:
    """`lanes` elements of `axis` from `first` on in one; one by one where the axis ends before."""
    w, last = outer.writer, outer.nest.kernel.axes[axis].size
    whole = last >= lanes
    if whole:
        with w.block(f"if ({first} + {lanes} <= {last})" if last % lanes else ""):
            body(WideScope.of(outer, axis, lanes).enter((axis,), (first,)))
    if last % lanes:
        with w.block("else" if whole else ""), w.count(outer.site.index, last, "e", first) as at:
            body(outer.enter((axis,), (at,)))
