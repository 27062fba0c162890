"""The library's scalars as C text on vector types.

Takes: a writer, how many lanes. Promises: each lane has the bits that an element alone has: every operation is the
scalar one's, lane by lane. A choice is a mask: all ones or all zeros.
"""

from __future__ import annotations

from jobspec.backends.c.scalars import CScalars, Typed
from jobspec.backends.c.writer import Writer

#: dtype of the IR → C type of a lane
LANE = {"f32": "float", "i32": "int", "u32": "uint", "bool": "int", "u8": "int", "u16": "int"}


def vector_of(type_: str, lanes: int) -> str:
    """The C type of `lanes` elements."""
    return f"{type_}{lanes}" if lanes > 1 else type_


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
