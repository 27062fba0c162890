"""What is repeated along a short innermost axis is written out once, so that vectors may go across it.

Takes: a program without `gradient`. Promises: the same values. Of a group of few channels that are normalised together
there is one mean for four neighbours in memory, say: as strides, an axis of four that nothing can join, and a vector
holds sixteen. Where the repeated tensor is small against what reads it, it is repeated along that axis in memory
(`written_out`), and the two innermost axes of all that read it become one. A broadcast of a broadcast says so: there
are none left behind `simplify`.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobspec.ir.build import broadcast
from jobspec.ir.program import Node, Program
from jobspec.passes.nodewise import nodewise

#: axes that are shorter leave lanes of a vector idle
LANES = 16
#: how many times larger the reader's shape must be than what is written out
SMALL = 64


def widen(program: Program) -> Program:
    """`program` with short repetitions apart from long ones."""
    return nodewise(program, in_two)


def in_two(node: Node) -> Node:
    if node.op != "broadcast" or not is_short(node):
        return node
    (source,), last = node.args, len(node.shape) - 1
    wide = broadcast(source, (*source.shape, node.shape[-1]), tuple(range(len(source.shape))))
    return broadcast(wide, node.shape, (*node["axes"], last))


def is_short(node: Node) -> bool:
    """Whether a broadcast repeats few neighbours, of a tensor that is small against its result."""
    (source,), axes, last = node.args, node["axes"], len(node.shape) - 1
    if last in axes or last - 1 not in axes or node.shape[-2] == 1 or not 1 < node.shape[-1] < LANES:
        return False
    return list(axes) == sorted(axes) and node.type.size >= SMALL * source.type.size * node.shape[-1]


def written_out(nodes: Iterable[Node]) -> set[Node]:
    """What is to lie in memory with its short repetition."""
    return {n.args[0] for n in nodes if n.op == "broadcast" and n.args[0].op == "broadcast"}
