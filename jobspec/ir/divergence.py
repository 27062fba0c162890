"""Where two programs part.

Takes: two programs, and whether sizes count. Promises: for each the nodes at which it first says something that the
other nowhere says: nodes that differ while all their operands are found in the other. Bodies of loops count as part of
the program. Nothing where one program says all that the other says (then they may still give it as other outputs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobspec.ir.program import Node, Program, body_of

#: attributes that only say how large
SIZES = frozenset({"shape", "size", "sizes", "count", "stop"})
SPREADS = frozenset({"broadcast", "reshape", "cast"})


@dataclass
class Numbering:
    """Nodes that say the same have the same number, in both programs. `names`: what inputs count as."""

    sizes: bool
    numbers: dict[Any, int] = field(default_factory=dict)

    def of(self, program: Program, names: Mapping[str, str]) -> dict[Node, int]:
        """Every node of the program and of the loops in it."""
        found: dict[Node, int] = {}
        for node in program.nodes():
            if node.op == "loop":
                found |= self.of(body_of(node), {})
            found[node] = self._number(node, found, names)
        return found

    def _number(self, node: Node, found: Mapping[Node, int], names: Mapping[str, str]) -> int:
        said: list[Any] = [node.op, *(found[argument] for argument in node.args)]
        for key, value in node.attrs:
            if key == "body":
                said += [found[result] for result in value.results]
            elif key == "name":
                said.append(names.get(value, value))
            elif self.sizes or key not in SIZES:
                said.append((key, value))
        return self.numbers.setdefault(tuple(said), len(self.numbers))


@dataclass(frozen=True)
class Side:
    """One of the programs. `feeds`: its names for the batch's fields → names that both programs have."""

    program: Program
    feeds: Mapping[str, str] = field(default_factory=dict)


def divergence(first: Side, second: Side, *, sizes: bool) -> tuple[list[Node], list[Node]]:
    """Nodes at which each of the two leaves the other, operands before users."""
    numbering = Numbering(sizes)
    mine, other = (numbering.of(side.program, side.feeds) for side in (first, second))
    return list(leaving(mine, set(other.values()))), list(leaving(other, set(mine.values())))


def leaving(mine: Mapping[Node, int], other: set[int]) -> Iterator[Node]:
    for node, number in mine.items():
        if number in other or is_written(node):
            continue
        below = [*node.args, *(body_of(node).nodes() if node.op == "loop" else ())]
        if all(mine[argument] in other or is_written(argument) for argument in below):
            yield node


def is_written(node: Node) -> bool:
    """A constant, however shaped: equal ones are one node, so it says nothing of where it stands; its users do."""
    return node.op == "const" or (node.op in SPREADS and is_written(node.args[0]))
