"""Every elementwise operation of the op table on one evaluator of scalars.

Takes: the operation's name, element types, operands of any evaluator (protocol.py). Promises: the one
choice, by operand type, of the primitives that an operation consists of; library operations are
their decompositions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobspec.ir.library import LIBRARY
from jobspec.ir.library.protocol import Scalars, V

Rule = Callable[..., Any]


def apply(b: Scalars[V], op: str, kind: str, dtype: str, args: tuple[V, ...]) -> V:
    """`op` on `args`, whose last one has element type `kind`; the result has `dtype`. u8 and u16 are held as i32."""
    result: V
    if op in ("cast", "bitcast"):
        result = (CASTS if op == "cast" else BITCASTS)[kind, dtype](b, *args)
    elif op in LIBRARY:
        result = LIBRARY[op](b, *args)
    else:
        rules = RULES[op]
        result = (rules[kind] if kind in rules else rules["any"])(b, *args)
    return result


def f32_to_u32(b: Scalars[V], x: V) -> V:
    """Toward zero, saturating; NaN and negative numbers give 0."""
    half = b.f32(2.0**31)
    low = b.i32_to_u32(b.f32_to_i32(x))
    high = b.iadd(b.i32_to_u32(b.f32_to_i32(b.sub(x, half))), b.u32(1 << 31))
    return b.select(b.lt(x, b.f32(0.0)), b.u32(0), b.select(b.le(half, x), high, low))


def signed_mulhi(b: Scalars[V], x: V, y: V) -> V:
    """The high 32 bits of the 64-bit product of i32 (Hacker's Delight, 8-3)."""
    high = b.mulhi(b.i32_to_u32(x), b.i32_to_u32(y))
    sign = b.i32(31)
    excess = b.iadd(b.and_(b.shr(x, sign), y), b.and_(b.shr(y, sign), x))
    return b.isub(b.u32_to_i32(high), excess)


def canonical_bits(b: Scalars[V], x: V) -> V:
    """The bits of an f32 as u32, those of a NaN made canonical."""
    return b.select(b.ne(x, x), b.u32(0x7FC00000), b.bits(x))


def from_bool(one: Rule, zero: Rule) -> Rule:
    return lambda b, x: b.select(x, one(b), zero(b))


def constants(name: str) -> tuple[Rule, Rule]:
    return (lambda b: getattr(b, name)(1)), (lambda b: getattr(b, name)(0))


def plain(method: str) -> Rule:
    return lambda b, *args: getattr(b, method)(*args)


def same(_: Any, x: Any) -> Any:
    return x


def split(floating: str, whole: str) -> Mapping[str, Rule]:
    return {"f32": plain(floating), "any": plain(whole)}


def always(method: str) -> Mapping[str, Rule]:
    return {"any": plain(method)}


RULES: Mapping[str, Mapping[str, Rule]] = {
    "add": split("add", "iadd"),
    "sub": split("sub", "isub"),
    "mul": split("mul", "imul"),
    "div": always("div"),
    "fma": always("fma"),
    "neg": {
        "f32": plain("neg"),
        "i32": lambda b, x: b.isub(b.i32(0), x),
        "u32": lambda b, x: b.isub(b.u32(0), x),
    },
    "abs": always("abs"),
    "sqrt": always("sqrt"),
    "max": {"f32": plain("max"), "any": lambda b, x, y: b.select(b.lt(y, x), x, y)},
    "min": {"f32": plain("min"), "any": lambda b, x, y: b.select(b.lt(x, y), x, y)},
    "floor": always("floor"),
    "rint": always("rint"),
    "lt": {"bool": lambda b, x, y: b.and_(b.not_(x), y), "any": plain("lt")},
    "le": {"bool": lambda b, x, y: b.or_(b.not_(x), y), "any": plain("le")},
    "eq": {"bool": lambda b, x, y: b.not_(b.xor(x, y)), "any": plain("eq")},
    "ne": {"bool": plain("xor"), "any": plain("ne")},
    "select": always("select"),
    "and": always("and_"),
    "or": always("or_"),
    "xor": always("xor"),
    "not": always("not_"),
    "shl": always("shl"),
    "shr": always("shr"),
    "mulhi": {"i32": signed_mulhi, "u32": plain("mulhi")},
}

CASTS: Mapping[tuple[str, str], Rule] = {
    ("f32", "f32"): same,
    ("i32", "i32"): same,
    ("u32", "u32"): same,
    ("f32", "i32"): plain("f32_to_i32"),
    ("f32", "u32"): f32_to_u32,
    ("i32", "f32"): plain("i32_to_f32"),
    ("u32", "f32"): plain("u32_to_f32"),
    ("i32", "u32"): plain("i32_to_u32"),
    ("u32", "i32"): plain("u32_to_i32"),
    ("bool", "f32"): from_bool(*constants("f32")),
    ("bool", "i32"): from_bool(*constants("i32")),
    ("bool", "u32"): from_bool(*constants("u32")),
}

BITCASTS: Mapping[tuple[str, str], Rule] = {
    ("f32", "f32"): lambda b, x: b.from_bits(canonical_bits(b, x)),
    ("i32", "i32"): same,
    ("u32", "u32"): same,
    ("f32", "u32"): canonical_bits,
    ("f32", "i32"): lambda b, x: b.u32_to_i32(canonical_bits(b, x)),
    ("u32", "f32"): plain("from_bits"),
    ("i32", "f32"): lambda b, x: b.from_bits(b.i32_to_u32(x)),
    ("i32", "u32"): plain("i32_to_u32"),
    ("u32", "i32"): plain("u32_to_i32"),
}
