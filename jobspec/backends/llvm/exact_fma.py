"""a * b + c with one rounding, for processors without fma.

Takes: a float type, scalar or vector. Promises: exact for every binary32 operand, in plain float64
additions and integer operations.
"""

from __future__ import annotations

from jobspec.backends.llvm.builder import Builder
from jobspec.backends.llvm.module import Module
from jobspec.backends.llvm.values import Value, integer, like, zero


def exact_fma(module: Module, name: str, type_: str) -> Builder:
    """a * b + c in float64: the product is exact; the sum is rounded to odd (Boldo & Melquiond 2008), so that
    rounding it to float32 is the one rounding."""
    f = Builder(module, name, [(type_, "a"), (type_, "b"), (type_, "c")], type_, internal=True, attributes="noinline")
    double, long = like(type_, "double"), like(type_, "i64")
    a, b, c = (f.convert("fpext", v, double) for v in f.params)
    product = f.binary("fmul", a, b)
    total = f.binary("fadd", product, c)
    error = _sum_error(f, product, c, total)
    bits = f.convert("bitcast", total, long)
    same = f.icmp("sge", f.xor(f.convert("bitcast", error, long), bits), zero(long))
    inexact = f.fcmp("one", error, zero(double))
    even = f.icmp("eq", f.and_(bits, integer(long, 1)), zero(long))
    odd = f.iadd(bits, f.select(same, integer(long, 1), integer(long, -1)))
    chosen = f.select(f.and_(inexact, even), odd, bits)
    f.ret(f.convert("fptrunc", f.convert("bitcast", chosen, double), type_))
    return f


def _sum_error(f: Builder, a: Value, b: Value, total: Value) -> Value:
    """The exact a + b - total (Knuth's two-sum)."""
    part = f.binary("fsub", total, a)
    rest = f.binary("fsub", a, f.binary("fsub", total, part))
    return f.binary("fadd", rest, f.binary("fsub", b, part))
