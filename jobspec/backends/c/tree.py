"""The contract's adjacent tree as C text: results come in one by one, pairs are folded as soon as both are there.

Takes: a writer, the number of results, an operation on two names. Promises: after `push` of all and
`result`, the value of the tree of ir/contract.py: pairs (0,1), (2,3), …, an odd last one carried up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
