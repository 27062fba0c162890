"""Typed LLVM values as text, and the names of their types.

Takes: Python numbers, texts of SSA names. Promises: a `Value` is an immutable pair (type, text) that
prints as an operand; constants are exact bit patterns (LLVM 22 writes a float as the hexadecimal
double of the same value).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

#: scalar type → bytes
SIZES = {"float": 4, "double": 8, "i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8}
_MANGLED = {"float": "f32", "double": "f64", "ptr": "p0"}


@dataclass(frozen=True, slots=True)
class Value:
    """An operand; `str` gives it with its type."""

    type: str
    text: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


def vector(element_type: str, width: int) -> str:
    """The type of `width` elements; the element type itself for width 1."""
    return element_type if width == 1 else f"<{width} x {element_type}>"


@cache
def width_of(type_: str) -> int:
    return int(type_[1:].split(" ")[0]) if type_.startswith("<") else 1


@cache
def element_of(type_: str) -> str:
    return type_[:-1].split(" x ")[1] if type_.startswith("<") else type_


def like(type_: str, element_type: str) -> str:
    """`element_type` at the width of `type_`."""
    return vector(element_type, width_of(type_))


@cache
def mangled(type_: str) -> str:
    """A type as intrinsic names spell it: v16f32."""
    name = _MANGLED.get(element_of(type_), element_of(type_))
    return name if width_of(type_) == 1 else f"v{width_of(type_)}{name}"


def integer(type_: str, number: int) -> Value:
    """An integer constant of any integer type; a vector repeats it. Taken modulo the width."""
    if element_of(type_) == "i1":
        return _splat(type_, "true" if number & 1 else "false")
    bits = 8 * SIZES[element_of(type_)]
    wrapped = (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
    return _splat(type_, str(wrapped))


def float_bits(bits: int, width: int = 1) -> Value:
    """The float whose 32 bits are `bits` (a NaN keeps its sign and payload)."""
    sign, exponent, fraction = bits >> 31, bits >> 23 & 255, bits & 0x7FFFFF
    if exponent == 255:
        double = sign << 63 | 0x7FF << 52 | fraction << 29
    else:
        (number,) = struct.unpack("<f", struct.pack("<I", bits))
        (double,) = struct.unpack("<Q", struct.pack("<d", number))
    return _splat(vector("float", width), f"0x{double:016X}")


def float_value(number: float, width: int = 1) -> Value:
    """`number`, which must be exact in binary32."""
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    return float_bits(bits, width)


def zero(type_: str) -> Value:
    return Value(type_, "zeroinitializer") if type_.startswith("<") else _splat(type_, _ZERO.get(type_, "0"))


_ZERO = {"float": "0.0", "double": "0.0", "i1": "false", "ptr": "null"}


def poison(type_: str) -> Value:
    return Value(type_, "poison")


def iota(type_: str) -> Value:
    """0, 1, … of a vector of integers; 0 for a scalar."""
    element, width = element_of(type_), width_of(type_)
    if width == 1:
        return Value(type_, "0")
    return Value(type_, "<" + ", ".join(f"{element} {i}" for i in range(width)) + ">")


def prefix_mask(count: int, width: int) -> Value:
    """The constant mask with the first `count` of `width` lanes set."""
    if width == 1:
        return integer("i1", int(count > 0))
    bits = ("true" if i < count else "false" for i in range(width))
    return Value(f"<{width} x i1>", "<" + ", ".join(f"i1 {b}" for b in bits) + ">")


def lanes_of(mask: Value) -> int:
    """How many lanes a constant prefix mask has set; 0 where it is not known here."""
    return mask.text.count("i1 true")


def _splat(type_: str, text: str) -> Value:
    return Value(type_, f"splat ({element_of(type_)} {text})" if type_.startswith("<") else text)
