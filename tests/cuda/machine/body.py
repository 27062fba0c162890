"""LLVM IR of one entry as it grows: registers, values, addresses, blocks.

Takes: an entry. Promises: a register is a slot of its own type; a value is given in the type that is asked for, its
bits unchanged; every access is watched where the translation is `watched`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from jobspec.backends.cuda.ptx import Entry, Unreadable
from tests.cuda.machine import runtime

#: type of PTX → of LLVM
TYPES = {"pred": "i1", "f32": "float", "f64": "double"}
TYPES |= {f"{kind}{bits}": f"i{bits}" for kind in "bus" for bits in (8, 16, 32, 64)}
SPECIAL = {
    "%tid.x": runtime.TID,
    "%ctaid.x": runtime.CTAID,
    "%ntid.x": runtime.NTID,
    "%nctaid.x": runtime.NCTAID,
}
ADDRESS = re.compile(r"\[([%\w$]+)(?:\+(-?\d+))?\]")
NUMBER = re.compile(r"(-?\d+|0x[0-9a-fA-F]+)U?")


def number(operand: str) -> int:
    """A whole number as PTX writes it."""
    return int(operand.removesuffix("U"), 0)


def width(type_: str) -> int:
    """Bits of a type of LLVM."""
    return {"float": 32, "double": 64}.get(type_) or int(type_[1:])


class Body:
    """`arrays`: name → address of shared memory; local arrays lie in the frame at `locals_`."""

    def __init__(self, entry: Entry, shared: Mapping[str, int], locals_: Mapping[str, int], watched: bool) -> None:
        self.entry, self.shared, self.locals, self.watched = entry, shared, locals_, watched
        self.lines: list[str] = []
        self.slots: dict[str, str] = {}
        self._names = 0

    # ---- text

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def block(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def name(self, prefix: str = "v") -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def let(self, text: str) -> str:
        value = f"%{self.name()}"
        self.line(f"{value} = {text}")
        return value

    # ---- values

    def type_of(self, register: str) -> str:
        """LLVM's type of a register."""
        prefix = register.rstrip("0123456789")
        return TYPES[self.entry.registers[prefix]]

    def slot(self, register: str) -> str:
        """Where the register's value is; the slot is opened with the function."""
        return self.slots.setdefault(register, f"%R{register[1:]}")

    def value(self, operand: str, type_: str) -> str:
        """The operand as `type_`, its bits cut or filled with zeros."""
        if operand.startswith("0f"):
            return self.bits(str(int(operand[2:], 16)), "i32", type_)
        if NUMBER.fullmatch(operand):
            held = number(operand) & ((1 << width(type_)) - 1)
            return self.bits(str(held), f"i{width(type_)}", type_)
        if operand in SPECIAL:
            return self.bits(self.environment(SPECIAL[operand]), "i64", type_)
        if operand in self.shared:
            return self.bits(str(self.shared[operand]), "i64", type_)
        if operand in self.locals:
            place = self.let(f"getelementptr i8, ptr %frame, i64 {self.locals[operand]}")
            return self.bits(self.let(f"ptrtoint ptr {place} to i64"), "i64", type_)
        own = self.type_of(operand)
        return self.bits(self.let(f"load {own}, ptr {self.slot(operand)}"), own, type_)

    def bits(self, value: str, own: str, wanted: str, signed: bool = False) -> str:
        """`value` of type `own` as `wanted`."""
        if own == wanted:
            return constant(value, wanted)
        if own in ("float", "double"):
            value, own = self.let(f"bitcast {own} {value} to i{width(own)}"), f"i{width(own)}"
        held = f"i{width(wanted)}"
        if width(own) != width(wanted):
            how = "trunc" if width(own) > width(wanted) else "sext" if signed else "zext"
            value = self.let(f"{how} {own} {value} to {held}")
        return value if wanted == held else self.let(f"bitcast {held} {value} to {wanted}")

    def set(self, register: str, value: str, type_: str, signed: bool = False) -> None:
        """The register takes the value; one that is wider takes its sign where `signed`."""
        own = self.type_of(register)
        self.line(f"store {own} {self.bits(value, type_, own, signed)}, ptr {self.slot(register)}")

    def environment(self, index: int) -> str:
        place = self.let(f"getelementptr i64, ptr %env, i64 {index}")
        return self.let(f"load i64, ptr {place}")

    # ---- memory

    def address(self, operand: str) -> str:
        """`[register+number]` as i64."""
        found = ADDRESS.fullmatch(operand)
        if found is None:
            raise Unreadable(f"address {operand}")
        return self.let(f"add i64 {self.value(found[1], 'i64')}, {found[2] or 0}")

    def aligned(self, address: str, size: int, line: int) -> None:
        """An access to `size` bytes must begin at a multiple of them (each of its words is looked at by itself)."""
        if self.watched:
            self.go_on(self.let(f"call i1 @check_aligned(ptr %env, i64 {address}, i64 {size}, i64 {line})"))

    def go_on(self, good: str) -> None:
        """Only where `good` holds."""
        go = self.name("good")
        self.line(f"br i1 {good}, label %{go}, label %failed")
        self.block(go)

    def place(self, space: str, address: str, size: int, line: int, stored: str = "") -> str:
        """A pointer that may be used; `stored`: the value to be written, as i32, of a write."""
        if self.watched and space in ("global", "shared"):
            write = "true" if stored else "false"
            facts = f"i64 {address}, i64 {size}, i1 {write}, i32 {stored or 0}, i64 {line}"
            self.go_on(self.let(f"call i1 @check_{space}(ptr %env, {facts})"))
        if space == "shared":
            base = self.let(f"inttoptr i64 {self.environment(runtime.SHARED)} to ptr")
            return self.let(f"getelementptr i8, ptr {base}, i64 {address}")
        return self.let(f"inttoptr i64 {address} to ptr")


def constant(value: str, type_: str) -> str:
    """A number as LLVM writes it: floats by their bits, as those of a double."""
    if type_ == "float" and value.isdigit():
        (double,) = struct.unpack("<Q", struct.pack("<d", *struct.unpack("<f", struct.pack("<I", int(value)))))
        return f"0x{double:016X}"
    return value
