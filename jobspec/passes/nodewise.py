"""A program made anew, node by node.

Takes: a program, what becomes of a node whose operands are made anew. Promises: each node is changed once, those of
loop bodies too; what is made in a node's stead has its place in the text.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.ir.origin import inherit
from jobspec.ir.program import Node, Program, body_of, make, rebuilt

Change = Callable[[Node], Node]


def nodewise(program: Program, change: Change) -> Program:
    """`program` with every node but loops replaced by `change` of it."""
    image: dict[Node, Node] = {}
    for node in program.nodes():
        new = rebuilt(node, image)
        image[node] = with_body(new, change) if new.op == "loop" else change(new)
        inherit(image[node], node)
    return program.with_results(image[node] for node in program.results)


def with_body(loop: Node, change: Change) -> Node:
    return make("loop", *loop.args, **{**dict(loop.attrs), "body": nodewise(body_of(loop), change)})
