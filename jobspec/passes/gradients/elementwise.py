"""Gradient rules of elementwise operations.

Takes: a node `y = op(x…)` and the cotangent g of y. Promises: one cotangent per operand, None where
nothing flows. Every formula is part of the meaning: its operations and their order are fixed here.
"""

from __future__ import annotations

from math import pi, sqrt

from jobspec.ir.build import full, is_fill, zeros
from jobspec.ir.program import Node, make
from jobspec.passes.gradients.products import Cotangents, scaled, times, unless, where


def add(_: Node, g: Node) -> Cotangents:
    return g, g


def sub(_: Node, g: Node) -> Cotangents:
    return g, make("neg", g)


def mul(y: Node, g: Node) -> Cotangents:
    a, b = y.args
    return times(g, b), times(g, a)


def div(y: Node, g: Node) -> Cotangents:
    """g/b and -((g/b) * y)."""
    share = make("div", g, y.args[1])
    return share, make("neg", times(share, y))


def fma(y: Node, g: Node) -> Cotangents:
    a, b, _ = y.args
    return times(g, b), times(g, a), g


def neg(_: Node, g: Node) -> Cotangents:
    return (make("neg", g),)


def abs_(y: Node, g: Node) -> Cotangents:
    """g with the sign of x; zero at zero."""
    (x,) = y.args
    zero = zeros(x.type)
    below = where(make("lt", x, zero), make("neg", g))
    return (make("select", make("lt", zero, x), g, below),)


def sqrt_(y: Node, g: Node) -> Cotangents:
    """g / (y + y)"""
    return (make("div", g, make("add", y, y)),)


def rsqrt(y: Node, g: Node) -> Cotangents:
    """(g * -0.5) * (y * (y * y))"""
    return (times(scaled(g, -0.5), make("mul", y, make("mul", y, y))),)


def max_(y: Node, g: Node) -> Cotangents:
    """To a where a > b, else to b: the one that the value came from. Said of y, not a, which is the same in every
    case (a > b makes y = a; otherwise y = b, which is not greater than itself) and lets a be forgotten."""
    first = make("lt", y.args[1], y)
    return where(first, g), unless(first, g)


def min_(y: Node, g: Node) -> Cotangents:
    """To a where a < b, else to b; said of y as in `max_`."""
    first = make("lt", y, y.args[1])
    return where(first, g), unless(first, g)


def select(y: Node, g: Node) -> Cotangents:
    condition = y.args[0]
    return None, where(condition, g), unless(condition, g)


def cast(_: Node, g: Node) -> Cotangents:
    """f32 to f32; every other cast has no varying operand or no f32 result."""
    return (g,)


def straight(_: Node, g: Node) -> Cotangents:
    """A rounding to fewer bits passes the cotangent as it is."""
    return (g,)


def exp(y: Node, g: Node) -> Cotangents:
    return (times(g, y),)


def log(y: Node, g: Node) -> Cotangents:
    return (make("div", g, y.args[0]),)


def tanh(y: Node, g: Node) -> Cotangents:
    """g * (1 - y * y)"""
    return (times(g, make("sub", full(y.type, 1.0), make("mul", y, y))),)


def erf(y: Node, g: Node) -> Cotangents:
    """(g * 2/sqrt(pi)) * exp(-(x * x))"""
    (x,) = y.args
    slope = make("exp", make("neg", make("mul", x, x)))
    return (times(scaled(g, 2 / sqrt(pi)), slope),)


def sin(y: Node, g: Node) -> Cotangents:
    return (times(g, make("cos", y.args[0])),)


def cos(y: Node, g: Node) -> Cotangents:
    return (make("neg", times(g, make("sin", y.args[0]))),)


def pow_(y: Node, g: Node) -> Cotangents:
    """To the base g * (e * x^(e-1)), zero where e is 0; to the exponent g * (y * log x), zero where 0 = x, 0 ≤ e."""
    x, e = y.args
    zero, one = zeros(y.type), full(y.type, 1.0)
    slope = times(e, make("pow", x, make("sub", e, one)))
    vanishing = make("and", make("eq", x, zero), make("le", zero, e))
    logarithm = times(y, make("log", x))
    base = times(g, slope) if is_constant_but_zero(e) else unless(make("eq", e, zero), times(g, slope))
    return base, unless(vanishing, times(g, logarithm))


def is_constant_but_zero(e: Node) -> bool:
    return e.op == "const" and len(e["bits"]) == 1 and not is_fill(e, 0.0) and not is_fill(e, -0.0)
