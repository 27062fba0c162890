"""The library's scalars as C text on OpenCL's vector types, and scopes that compute neighbouring elements in one.

Takes: a writer, how many lanes, the axis that they lie along. Promises: each lane has the bits that an element alone
has: every operation is the scalar one's, lane by lane. A value that does not vary along the axis stays a scalar until
an operation needs it in every lane. A choice is a mask: all ones or all zeros.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from jobspec.backends.c.scalars import CScalars, Typed
from jobspec.backends.c.scope import STORED, Scope
from jobspec.backends.c.writer import Writer
from jobspec.ir.kernel import Inst, View
from jobspec.ir.library.apply import apply

#: dtype of the IR → C type of a lane
LANE = {"f32": "float", "i32": "int", "u32": "uint", "bool": "int", "u8": "int", "u16": "int"}
WHOLE = ("float", "int", "uint")


class WideScalars(CScalars):
    """Implements `Scalars[Typed]`; operands and results have `lanes` lanes."""

    def __init__(self, writer: Writer, lanes: int) -> None:
        super().__init__(writer)
        self._lanes = lanes

    def spread(self, a: Typed) -> Typed:
        """`a` in every lane."""
        if a.lanes > 1:
            return a
        text = f"-(int)({a.text})" if a.dtype == "bool" else a.text
        return Typed(a.dtype, f"({LANE[a.dtype]}{self._lanes})({text})", self._lanes)

    def f32(self, value: float) -> Typed:
        return self.spread(super().f32(value))

    def u32(self, value: int) -> Typed:
        return self.spread(super().u32(value))

    def i32(self, value: int) -> Typed:
        return self.spread(super().i32(value))

    def neg(self, a: Typed) -> Typed:
        return self._let("f32", f"{self._as('float')}({self._as('uint')}({a.text}) ^ 0x80000000u)")

    def abs(self, a: Typed) -> Typed:
        return self._let("f32", f"{self._as('float')}({self._as('uint')}({a.text}) & 0x7fffffffu)")

    def not_(self, a: Typed) -> Typed:
        return self._let(a.dtype, f"~{a.text}")

    def shl(self, a: Typed, amount: Typed) -> Typed:
        shifted = f"{self._as('uint')}({a.text}) << ({self._as('uint')}({amount.text}) & 31u)"
        return self._let(a.dtype, f"{self._as(LANE[a.dtype])}({shifted})")

    def shr(self, a: Typed, amount: Typed) -> Typed:
        lanes = self._as(LANE[a.dtype])
        return self._let(a.dtype, f"{a.text} >> ({lanes}({amount.text}) & 31)")

    def u32_to_i32(self, a: Typed) -> Typed:
        return self._let("i32", f"{self._as('int')}({a.text})")

    def i32_to_u32(self, a: Typed) -> Typed:
        return self._let("u32", f"{self._as('uint')}({a.text})")

    def _wrapped(self, a: Typed, sign: str, b: Typed) -> Typed:
        word = f"{self._as('uint')}({a.text}) {sign} {self._as('uint')}({b.text})"
        return self._let(a.dtype, f"{self._as(LANE[a.dtype])}({word})")

    def _call(self, dtype: str, function: str, *args: Typed) -> Typed:
        return super()._call(dtype, f"{function}{self._lanes}", *args)

    def _let(self, dtype: str, text: str) -> Typed:
        return Typed(dtype, self._writer.let(f"{LANE[dtype]}{self._lanes}", text), self._lanes)

    def _as(self, type_: str) -> str:
        return f"as_{type_}{self._lanes}"


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


def vector_of(type_: str, lanes: int) -> str:
    """The C type of `lanes` elements."""
    return f"{type_}{lanes}" if lanes > 1 else type_


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


def combined(how: str, a: str, b: str, lanes: int) -> str:
    """One step of a fold, in every lane."""
    width = str(lanes) if lanes > 1 else ""
    return f"f_link{width}({a}, {b})" if how == "sum" else f"({a} > {b} ? {a} : {b})"


def halved(writer: Writer, how: str, parts: list[str], lanes: int) -> str:
    """The halving tree over all lanes of `parts`, vectors of `lanes`; the result's name."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [
            writer.let(f"float{lanes}", combined(how, parts[i], parts[i + half], lanes), "half") for i in range(half)
        ]
    (part,) = parts
    while lanes > 1:
        lanes //= 2
        type_ = vector_of("float", lanes)
        low, high = (writer.let(type_, f"{part}.{side}", side) for side in ("lo", "hi"))
        part = writer.let(type_, combined(how, low, high, lanes), "half")
    return part
