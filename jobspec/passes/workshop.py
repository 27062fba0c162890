"""What a routine is made of, while it is being made.

Takes: kernels, buffers, flags and constants as regions ask for them. Promises: numbers in the order of asking; the
same constant, counter or flag is kept once. Buffers get their places later (memory.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Call
from jobspec.ir.program import Node
from jobspec.ir.types import Type


@dataclass
class Workshop:
    """What a routine is made of so far: kernels, buffers (name, type), flags, constants by buffer, and the node whose
    value each buffer is for."""

    kernels: list[Kernel] = field(default_factory=list)
    buffers: list[tuple[str, Type]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    constants: dict[Node, int] = field(default_factory=dict)
    counters: dict[int, int] = field(default_factory=dict)
    made_for: dict[int, Node] = field(default_factory=dict)

    def buffer(self, name: str, type: Type, value: Node | None = None) -> int:
        self.buffers.append((name, type))
        number = len(self.buffers) - 1
        if value is not None:
            self.made_for[number] = value
        return number

    def call(self, kernel: Kernel) -> Call:
        self.kernels.append(kernel)
        return Call(len(self.kernels) - 1)

    def flag(self, meaning: str) -> int:
        if meaning not in self.flags:
            self.flags.append(meaning)
        return self.flags.index(meaning)

    def constant(self, node: Node) -> int:
        if node not in self.constants:
            self.constants[node] = self.buffer("constant", node.type, node)
        return self.constants[node]

    def counter(self, count: int) -> int:
        """The buffer that holds 0 … count-1, from which a loop body reads its turn."""
        if count not in self.counters:
            self.counters[count] = self.buffer("turns", Type("i32", (count,)))
        return self.counters[count]

    def marks(self) -> tuple[int, int]:
        """How far the routine has come; for `back_to`."""
        return len(self.kernels), len(self.buffers)

    def back_to(self, marks: tuple[int, int]) -> None:
        """Forget the kernels and buffers made since `marks`."""
        kernels, buffers = marks
        del self.kernels[kernels:], self.buffers[buffers:]
        self.constants = {n: b for n, b in self.constants.items() if b < buffers}
        self.counters = {n: b for n, b in self.counters.items() if b < buffers}
        self.made_for = {b: n for b, n in self.made_for.items() if b < buffers}
