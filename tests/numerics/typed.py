"""An evaluator that computes nothing: it checks types and counts operations.

Takes: the library's functions. Promises: an operation on operands of the wrong types, or a decision taken on a value
(`if`, `and`, iteration), is an error; so a function that passes is a straight line of primitives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

FREE = {"bits", "from_bits", "u32_to_i32", "i32_to_u32"}
"""Reinterpretations: no instruction on most devices, not counted."""


@dataclass(frozen=True)
class Value:
    """A value of one type; `name` tells equal expressions apart from different ones."""

    type: str
    name: str

    def __bool__(self) -> NoReturn:
        raise TypeError("a library function must not decide on a value")

    def __iter__(self) -> NoReturn:
        raise TypeError("a value is one thing")


def method(name: str, operand_types: str, result: str) -> Callable[..., Value]:
    """One word per operand: the letters of the types it may have, or `=` for that of the operand before it."""

    def apply(self: TypedScalars, *operands: Value) -> Value:
        words = operand_types.split()
        assert len(operands) == len(words), name
        for i, (operand, word) in enumerate(zip(operands, words, strict=True)):
            assert operand.type in (operands[i - 1].type if word == "=" else word), (name, operands)
        return self.record(name, operands[-1].type if result == "=" else result, operands)

    return apply


class TypedScalars:
    """`Scalars[Value]`; types are f, u, i and b. Equal expressions count once, as any compiler has them."""

    def __init__(self) -> None:
        self.seen: dict[str, Value] = {}
        self.counts: Counter[str] = Counter()

    def record(self, name: str, type: str, operands: tuple[Value, ...]) -> Value:
        text = f"{name}({','.join(operand.name for operand in operands)})"
        if text not in self.seen:
            self.seen[text] = Value(type, f"%{len(self.seen)}")
            self.counts[name] += name not in FREE
        return self.seen[text]

    def f32(self, value: float) -> Value:
        return Value("f", f"f{value.hex()}")

    def u32(self, value: int) -> Value:
        assert 0 <= value < 2**32
        return Value("u", f"u{value}")

    def i32(self, value: int) -> Value:
        assert -(2**31) <= value < 2**31
        return Value("i", f"i{value}")


METHODS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "max", "min"), ("f f", "f")),
    **dict.fromkeys(("neg", "abs", "sqrt", "floor", "rint"), ("f", "f")),
    **dict.fromkeys(("lt", "le", "eq", "ne"), ("fui =", "b")),
    **dict.fromkeys(("and_", "or_", "xor"), ("bui =", "=")),
    **dict.fromkeys(("shl", "shr", "iadd", "isub", "imul"), ("ui =", "=")),
    "fma": ("f f f", "f"),
    "select": ("b fuib =", "="),
    "not_": ("bui", "="),
    "mulhi": ("u u", "u"),
    "f32_to_i32": ("f", "i"),
    "i32_to_f32": ("i", "f"),
    "u32_to_f32": ("u", "f"),
    "bits": ("f", "u"),
    "from_bits": ("u", "f"),
    "u32_to_i32": ("u", "i"),
    "i32_to_u32": ("i", "u"),
}
for name, (operand_types, result) in METHODS.items():
    setattr(TypedScalars, name, method(name, operand_types, result))
