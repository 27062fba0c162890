"""PTX as NVIDIA's compilers print it, read into entries of instructions.

Takes: the text of a module. Promises: every statement of every entry is an instruction, a label or a declaration
that this knows; anything else is an error with its line, so that nothing of a program goes unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


class Unreadable(ValueError):
    """A statement that is not known here."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """`guard`: a predicate, `!` before it where it must not hold; `op`: the parts between the points."""

    line: int
    guard: str
    op: tuple[str, ...]
    args: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'.'.join(self.op)} {', '.join(self.args)}".rstrip()


@dataclass(frozen=True, slots=True)
class Label:
    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """Memory that an entry declares. `space`: shared (of a block) or local (of a thread); `size`: bytes."""

    space: str
    name: str
    align: int
    size: int


@dataclass
class Entry:
    """`params`: (name, type); `registers`: prefix (`%f`) → type."""

    name: str
    params: list[tuple[str, str]] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)
    body: list[Instruction | Label] = field(default_factory=list)

    @property
    def instructions(self) -> Iterator[Instruction]:
        return (item for item in self.body if isinstance(item, Instruction))


@dataclass
class Module:
    """`target`: as `sm_90`; `options` of it, as `debug`, come behind. `outside`: names of the piece of shared memory
    whose size a launch says."""

    target: str = ""
    outside: list[str] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)


COMMENT = re.compile(r"//.*")
HEADER = re.compile(r"\.(version|target|address_size)\s+(.+)")
ENTRY = re.compile(r"\.visible \.entry ([\w$]+)\(\)?")
PARAM = re.compile(r"\.param \.(\w+)(?: \.ptr(?: \.\w+)?(?: \.align \d+)?)? ([\w$]+),?")
REGISTERS = re.compile(r"\.reg \.(\w+)\s+(%\w+)(?:<\d+>)?;")
ARRAY = re.compile(r"\.(shared|local) \.align (\d+) \.b8\s+([\w$]+)\[(\d+)\];")
OUTSIDE = re.compile(r"\.extern \.shared \.align \d+ \.b8 ([\w$]+)\[\];")
LABEL = re.compile(r"(\$?[\w$]+):")
#: a statement with a register of its own, as for sm_120
SCOPED = re.compile(r"\{ \.reg \.(\w+) (\w+); (.+;) \}")
STATEMENT = re.compile(r"(?:@(!?%\w+)\s+)?([a-z]\w*(?:\.\w+(?:::\w+)?)*)(?:\s+(.*?))?\s*;")
#: what says nothing about what is computed, and the frame of an entry
SILENT = re.compile(r"[(){}]|\.pragma\b.*|\.(maxntid|reqntid|minnctapersm)\b.*")
PARTS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*")


def read(text: str) -> Module:
    """Raises Unreadable."""
    module, entry = Module(), Entry("")
    for number, raw in enumerate(text.splitlines(), 1):
        line = COMMENT.sub("", raw).strip()
        if not line or SILENT.fullmatch(line):
            continue
        if found := ENTRY.fullmatch(line):
            entry = module.entries[found[1]] = Entry(found[1])
        elif found := HEADER.fullmatch(line):
            module.target = found[2] if found[1] == "target" else module.target
        elif found := OUTSIDE.fullmatch(line):
            module.outside.append(found[1])
        else:
            take(entry, number, line)
    return module


def take(entry: Entry, number: int, line: str) -> None:
    """One line inside an entry."""
    if found := SCOPED.fullmatch(line):
        entry.registers[f"%{found[2]}"] = found[1]
        take(entry, number, re.sub(rf"\b{found[2]}\b", f"%{found[2]}", found[3]))
    elif found := STATEMENT.fullmatch(line):
        args = tuple(part.strip() for part in PARTS.findall(found[3] or ""))
        entry.body.append(Instruction(number, found[1] or "", tuple(found[2].split(".")), args))
    elif found := LABEL.fullmatch(line):
        entry.body.append(Label(number, found[1]))
    elif found := PARAM.fullmatch(line):
        entry.params.append((found[2], found[1]))
    elif found := REGISTERS.fullmatch(line):
        entry.registers[found[2]] = found[1]
    elif found := ARRAY.fullmatch(line):
        entry.arrays.append(Array(found[1], found[3], int(found[2]), int(found[4])))
    else:
        raise Unreadable(f"line {number}: {line}")
