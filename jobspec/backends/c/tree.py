"""The contract's trees as C text (ir/contract.py).

Takes: a writer, results, an operation on two names. Promises: of the adjacent tree, whose results come in one by one,
after `push` of all and `result` its value: pairs (0,1), (2,3), … are folded as soon as both are there, an odd last one
is carried up; of the halving tree over the lanes of vectors its value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer

Combine = Callable[[str, str], str]


def add(a: str, b: str) -> str:
    return f"f_link({a}, {b})"


def larger(a: str, b: str) -> str:
    return f"({a} > {b} ? {a} : {b})"


COMBINE: dict[str, Combine] = {"sum": add, "max": larger}


@dataclass(frozen=True)
class Tree:
    """A binary counter of partial results: `stack` an array, `top` how many it holds."""

    writer: Writer
    combine: Combine
    stack: str
    top: str

    @classmethod
    def open(cls, writer: Writer, combine: Combine, count: int, type_: str = "float") -> Tree:
        stack, top = writer.name("stack"), writer.name("top")
        writer.line(f"{type_} {stack}[{count.bit_length()}]; int {top} = 0;")
        return cls(writer, combine, stack, top)

    def push(self, number: str, value: str) -> None:
        """Result `number` (from 0, ascending); `value`: a variable that may be overwritten."""
        below = f"{self.stack}[{self.top} - 1]"
        with self.writer.count("int", 32, "level") as level:
            self.writer.line(f"if (!(({number} >> {level}) & 1)) break;")
            self.writer.line(f"{value} = {self.combine(below, value)}; --{self.top};")
        self.writer.line(f"{self.stack}[{self.top}++] = {value};")

    def result(self, value: str) -> None:
        """Fold what is left into the variable `value`."""
        self.writer.line(f"{value} = {self.stack}[--{self.top}];")
        with self.writer.block(f"while ({self.top} > 0)"):
            self.writer.line(f"--{self.top}; {value} = {self.combine(f'{self.stack}[{self.top}]', value)};")


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
