"""Sorts tokens by expert, so that maps which an index chooses are applied to many tokens at once.

Takes: a program without `gradient`. Promises: the same bits, as sums along a map's input do not depend on the tokens
beside, and an expert's own tokens stay in ascending order. Tokens are copied into blocks that belong to one expert
each, with a few empty slots at the end of an expert's last block; no weight is copied, and an empty block costs
nothing.
"""

from __future__ import annotations

from jobspec.ir.build import broadcast, reshape, slice_axis
from jobspec.ir.program import Node, Program, make
from jobspec.ir.routing import Routing
from jobspec.passes.nodewise import nodewise

#: slots of a block, at most
MOST_SLOTS = 32


def route_tokens(program: Program) -> Program:
    """`program` with `experts` and `expert_sums` written in blocks."""
    return nodewise(program, in_blocks)


def in_blocks(node: Node) -> Node:
    if node.op == "experts":
        return products(node)
    return sums(node) if node.op == "expert_sums" else node


def products(node: Node) -> Node:
    """experts(x, w, index), block by block."""
    x, w, index = node.args
    way = Way(index, w.shape[0])
    blocks = reshape(way.sorted_rows(x), (way.table.blocks, way.table.block, x.shape[-1]))
    done = make("block_products", blocks, w, way.part("owners"), tokens=way.table.count)
    flat = reshape(done, (way.table.places, w.shape[2]))
    return reshape(make("gather", flat, way.part("slots"), batch=0), node.shape)


def sums(node: Node) -> Node:
    """expert_sums(x, g, index), one stretch of slots for each expert."""
    x, g, index = node.args
    way = Way(index, node["size"])
    rows, bounds = [way.sorted_rows(x), way.sorted_rows(g)], [way.part("firsts"), way.part("counts")]
    return make("segment_sums", *rows, *bounds, tokens=way.table.count)


class Way:
    """Tokens of `index` on their way to `size` experts."""

    def __init__(self, index: Node, size: int) -> None:
        count = index.type.size
        self.table = Routing(count, size, slots_of_block(count, size))
        self.node = make("route", reshape(index, (count,)), size=size, block=self.table.block)

    def part(self, name: str) -> Node:
        """One part of the table."""
        return slice_axis(self.node, 0, *self.table.part(name))

    def sorted_rows(self, x: Node) -> Node:
        """The row of x [l…, K] that belongs to the token in each slot: [slots, K]."""
        rows, tokens = x.type.size // x.shape[-1], self.part("tokens")
        if rows != self.table.count:
            owner = broadcast(make("iota", size=rows), (rows, self.table.count // rows), (0,))
            tokens = make("gather", reshape(owner, (self.table.count,)), tokens, batch=0)
        return make("gather", reshape(x, (rows, x.shape[-1])), tokens, batch=0)


def slots_of_block(count: int, size: int) -> int:
    """A power of two, not above half of an expert's share of the tokens."""
    share = max(2, min(2 * MOST_SLOTS, count // size))
    return 1 << ((share // 2).bit_length() - 1)
