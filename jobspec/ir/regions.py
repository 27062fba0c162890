"""A loop taken apart into named pieces, and put together again.

Takes: a `loop` node. Promises: `parts(node)` and `Loop.node()` are each other's inverse; passes that change a
loop change the pieces and never count positions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobspec.ir.program import Node, Program, body_of, make
from jobspec.ir.types import Type

Nodes = tuple[Node, ...]
Outputs = tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Loop:
    """Operands: `inits` of carried values, tensors `sliced` along their first axis, tensors `shared` by all turns.
    Body inputs, one for each: `turn`, `state`, `cuts`, `common`. Body outputs: `step` (the next carried
    values) and `stacked`, by name."""

    count: int
    reverse: bool
    inits: Nodes
    sliced: Nodes
    shared: Nodes
    turn: Node
    state: Nodes
    cuts: Nodes
    common: Nodes
    step: Outputs
    stacked: Outputs

    def node(self) -> Node:
        """The loop as a node of the program."""
        inputs = (self.turn, *self.state, *self.cuts, *self.common)
        body = Program(inputs, (*self.step, *self.stacked))
        return make("loop", *self.inits, *self.sliced, *self.shared, count=self.count, carried=len(self.inits),
                    sliced=len(self.sliced), reverse=self.reverse, body=body)  # fmt: skip

    @property
    def results(self) -> Nodes:
        """Nodes of the body's outputs."""
        return tuple(node for _, node in (*self.step, *self.stacked))

    @property
    def operands(self) -> Nodes:
        return (*self.inits, *self.sliced, *self.shared)

    @property
    def inputs(self) -> Nodes:
        """Body inputs, one per operand (so without `turn`)."""
        return (*self.state, *self.cuts, *self.common)


def parts(node: Node) -> Loop:
    """The pieces of a `loop` node."""
    body, carried, cuts = body_of(node), node["carried"], node["carried"] + node["sliced"]
    turn, *inputs = body.inputs
    return Loop(
        count=node["count"], reverse=node["reverse"],
        inits=node.args[:carried], sliced=node.args[carried:cuts], shared=node.args[cuts:],
        turn=turn, state=tuple(inputs[:carried]), cuts=tuple(inputs[carried:cuts]), common=tuple(inputs[cuts:]),
        step=body.outputs[:carried], stacked=body.outputs[carried:],
    )  # fmt: skip


def get(loop: Node, index: int) -> Node:
    """Result number `index` of a loop: carried values first, then stacked ones."""
    return make("get", loop, index=index)


def body_input(name: str, kind: Type) -> Node:
    return make("input", name=name, dtype=kind.dtype, shape=kind.shape)


def fresh(name: str, taken: Iterable[str]) -> str:
    """`name`, with as many primes as make it differ from all names taken."""
    used = set(taken)
    while name in used:
        name += "'"
    return name
