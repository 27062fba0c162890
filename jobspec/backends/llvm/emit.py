"""A builder of one LLVM function, with the float32 primitives of the contract.

Takes: values (values.py), i64 numbers as Python integers. Promises: all of `Builder`; and each float
method is one primitive with its exact bits on every target: where the hardware lacks fma or rounding
it is computed exactly in software, never by a library call.
"""

from __future__ import annotations

from jobspec.backends.llvm.builder import Body, Builder, Int, int_of
from jobspec.backends.llvm.exact_fma import exact_fma
from jobspec.backends.llvm.module import Module
from jobspec.backends.llvm.values import Value, float_value, integer, like, mangled, width_of

__all__ = ["Body", "Function", "Int", "Module", "Value", "int_of"]


class Function(Builder):
    """`params`: (type, name). The entry block is open at the start; end every function with `ret`."""

    def fadd(self, a: Value, b: Value) -> Value:
        return self.binary("fadd", a, b)

    def fsub(self, a: Value, b: Value) -> Value:
        return self.binary("fsub", a, b)

    def fmul(self, a: Value, b: Value) -> Value:
        return self.binary("fmul", a, b)

    def fdiv(self, a: Value, b: Value) -> Value:
        return self.binary("fdiv", a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c with one rounding, on every target."""
        if self.module.has("fma") or self.module.has("avx512f"):
            return self.intrinsic("fma", a.type, (a, b, c), (a.type,))
        name = f"fma.exact.{mangled(a.type)}"
        self.module.once(name, lambda: exact_fma(self.module, name, a.type))
        return self.call(a.type, name, (a, b, c))

    def sqrt(self, a: Value) -> Value:
        return self.intrinsic("sqrt", a.type, (a,), (a.type,))

    def rint(self, a: Value) -> Value:
        """To the nearest integer, ties to even."""
        if self.module.has("sse4.1") or self.module.has("avx"):
            return self.intrinsic("roundeven", a.type, (a,), (a.type,))
        sign = self.and_(self.bits(a), integer(like(a.type, "i32"), 1 << 31))
        large = self.floats(self.or_(sign, self.bits(float_value(2.0**23, width_of(a.type)))))
        rounded = self.fsub(self.fadd(a, large), large)
        signed = self.floats(self.or_(self.bits(self.fabs(rounded)), sign))
        small = self.fcmp("olt", self.fabs(a), float_value(2.0**23, width_of(a.type)))
        return self.select(small, signed, a)

    def floor(self, a: Value) -> Value:
        if self.module.has("sse4.1") or self.module.has("avx"):
            return self.intrinsic("floor", a.type, (a,), (a.type,))
        near = self.rint(a)
        below = self.fsub(near, float_value(1.0, width_of(a.type)))
        return self.select(self.fcmp("ogt", near, a), below, near)

    def fneg(self, a: Value) -> Value:
        """Flips the sign bit, of a NaN too."""
        return self.floats(self.xor(self.bits(a), integer(like(a.type, "i32"), 1 << 31)))

    def fabs(self, a: Value) -> Value:
        """Clears the sign bit, of a NaN too."""
        return self.floats(self.and_(self.bits(a), integer(like(a.type, "i32"), 0x7FFFFFFF)))

    def fmax(self, a: Value, b: Value) -> Value:
        """a > b ? a : b"""
        return self.select(self.fcmp("ogt", a, b), a, b)

    def fmin(self, a: Value, b: Value) -> Value:
        """a < b ? a : b"""
        return self.select(self.fcmp("olt", a, b), a, b)

    def fptosi(self, a: Value) -> Value:
        """f32 → i32 toward zero, saturating, NaN → 0."""
        to = like(a.type, "i32")
        return self.intrinsic("fptosi.sat", to, (a,), (to, a.type))
