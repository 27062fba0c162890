"""Sums over pieces, found in a program: nests of loops of two turns (lang/pieces.py makes them).

Takes: a program. Promises: a nest is one only if its loops are folds by what they compute, wherever they come from: the
first turn's value, then that plus the second's, and nothing else goes from turn to turn. So any aligned block of its
pieces can be computed by itself, and `add` of neighbouring blocks is the block of both.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.build import fill_bits, reshape
from jobspec.ir.program import Node, Program, order, replace
from jobspec.ir.regions import Loop, body_input, get, parts


@dataclass(frozen=True, eq=False)
class Block:
    """What computes a block of pieces. `cuts`, `common`: inputs, one per cut and shared operand of the nest; `sums`: in
    terms of them."""

    cuts: tuple[Node, ...]
    common: tuple[Node, ...]
    sums: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Nest:
    """`node`: the outermost loop; `levels`: all loops, that one first."""

    node: Node
    levels: tuple[Loop, ...]

    @property
    def depth(self) -> int:
        """It sums 2^depth pieces."""
        return len(self.levels)

    @property
    def sums(self) -> tuple[Node, ...]:
        return tuple(get(self.node, i) for i in range(len(self.levels[0].step)))

    @property
    def rows(self) -> tuple[Node, ...]:
        """The cut operands, the places of all pieces one after another along the first axis."""
        return tuple(flat(x) for x in self.levels[0].sliced)

    @property
    def shared(self) -> tuple[Node, ...]:
        return self.levels[0].shared

    def block(self, exponent: int) -> Block:
        """A block of 2^exponent pieces."""
        if exponent < self.depth:
            level = self.levels[self.depth - exponent - 1]
            return Block(level.cuts, level.common, tuple(summands(level)))
        loop = self.levels[0]
        cuts = tuple(body_input(f"rows.{i}", x.type) for i, x in enumerate(self.rows))
        common = tuple(body_input(f"shared.{i}", x.type) for i, x in enumerate(loop.shared))
        inside = {x: reshape(cut, x.shape) for x, cut in zip(loop.sliced, cuts, strict=True)}
        inside |= zip(loop.shared, common, strict=True)
        return Block(cuts, common, tuple(replace(self.sums, inside)))


def flat(x: Node) -> Node:
    """The first two axes as one."""
    shape = (x.shape[0] * x.shape[1], *x.shape[2:])
    below = x.args[0] if x.op == "reshape" else x
    return below if below.shape == shape else reshape(x, shape)


def nests(program: Program) -> list[Nest]:
    """The nests that stand in no other loop, in program order."""
    found = [Nest(node, levels(node)) for node in program.nodes() if node.op == "loop"]
    return [nest for nest in found if nest.levels]


def levels(node: Node) -> tuple[Loop, ...]:
    """`node` and the folds directly inside of it; none where it is no fold."""
    found: list[Loop] = []
    while node.op == "loop" and is_fold(loop := parts(node)):
        if found and not goes_on(found[-1], node):
            break
        found.append(loop)
        node = source(loop)
    return tuple(found)


def is_fold(loop: Loop) -> bool:
    """Whether the result is the first turn's values plus the second's, whatever they begin with."""
    if loop.count != 2 or loop.reverse or loop.stacked or not loop.sliced or any(len(x.shape) < 2 for x in loop.sliced):
        return False
    pairs = zip(loop.step, loop.state, strict=True)
    if not all(is_link(loop.turn, state, step) for (_, step), state in pairs):
        return False
    below = set(order(summands(loop)))
    return loop.turn not in below and not below & set(loop.state)


def is_link(turn: Node, state: Node, step: Node) -> bool:
    """first turn ? x : state + x"""
    if step.op != "select":
        return False
    first, x, total = step.args
    return is_first(turn, first) and total.op == "add" and total.args == (state, x)


def is_first(turn: Node, node: Node) -> bool:
    if node.op == "broadcast":
        node = node.args[0]
    return node.op == "eq" and node.args[0] is turn and fill_bits(node.args[1]) == 0


def summands(loop: Loop) -> list[Node]:
    """What each turn adds."""
    return [step.args[1] for _, step in loop.step]


def source(loop: Loop) -> Node:
    """What the first summand comes out of."""
    first = summands(loop)[0]
    return first.args[0] if first.op == "get" else first


def goes_on(outer: Loop, node: Node) -> bool:
    """Whether each turn of `outer` is all of the fold `node` on that turn's half of each operand."""
    inner = parts(node)
    same = all(x is get(node, i) for i, x in enumerate(summands(outer))) and len(outer.step) == len(inner.step)
    halves = [flat(x) for x in inner.sliced]
    return same and halves == list(outer.cuts) and list(inner.shared) == list(outer.common)
