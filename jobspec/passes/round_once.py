"""Rounds a value once, where it is made, that all its readers round to bfloat16.

Takes: a program after `round_operands` and `simplify`. Promises: every output bit for bit the same, since rounding what
is rounded changes nothing. What a loop stacks for another is rounded before it is stacked; what two loops of a region
cut into slices that they round is rounded whole before them. So a tensor can lie in memory as bfloat16, once
(halve.py), and no reader rounds it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from jobspec.ir.origin import inherit
from jobspec.ir.program import Node, Program, body_of, make, order, rebuild
from jobspec.ir.regions import Nodes
from jobspec.passes.operands import carries, rounded

#: loops that round their slices of a tensor, from which on rounding it before them takes fewer bytes: each of them
#: reads four and writes two of an element
LOOPS = 2

Numbers = frozenset[int]
#: a region and which of its outputs are rounded by their readers → its nodes that all readers round
Known = dict[tuple[Program, Numbers], frozenset[Node]]


def round_once(program: Program) -> Program:
    """`program` with roundings where values are made."""
    return Region(program, frozenset(), set(), {}).made()


@dataclass
class Region:
    """A program, or a loop's body. `asked`: numbers of its outputs that all readers round; `holds`: what holds
    bfloat16, at first of its inputs; `stacks`: of a loop, numbers of the results that do."""

    program: Program
    asked: Numbers
    holds: set[Node]
    known: Known
    stacks: dict[Node, Numbers] = field(default_factory=dict)

    def made(self) -> Program:
        program, image = self.program, dict[Node, Node]()
        asked, shared = asked_of(program, self.asked, self.known), cut_often(program, self.known)
        for node in order(program.results):
            args = tuple(image[a] for a in node.args)
            if node.op == "loop":
                args = tuple(self._narrow(x) if a in shared[node] else x for a, x in enumerate(args))
                image[node] = self._loop(node, args, asked.get(node, frozenset()))
            else:
                image[node] = self._plain(node, args)
            inherit(image[node], node)
        results = [self._narrow(image[x]) if i in self.asked else image[x] for i, x in enumerate(program.results)]
        names = (name for name, _ in program.outputs)
        return Program(program.inputs, tuple(zip(names, results, strict=True)))

    def _narrow(self, x: Node) -> Node:
        """x in bfloat16."""
        if x in self.holds:
            return x
        self.holds.add(new := rounded(x))
        return new

    def _plain(self, node: Node, args: Nodes) -> Node:
        if node.op == "bf16" and args[0] in self.holds:
            return args[0]
        new = rebuild(node, args)
        if new.op == "bf16" or (carries(new) and args[0] in self.holds):
            self.holds.add(new)
        if new.op == "get" and new["index"] in self.stacks[args[0]]:
            self.holds.add(new)
        return new

    def _loop(self, node: Node, args: Nodes, asked: Numbers) -> Node:
        """The loop with a body that gives the results `asked` in bfloat16."""
        body, carried = body_of(node), node["carried"]
        narrow = {body.inputs[1 + a] for a, x in enumerate(args) if a >= carried and x in self.holds}
        inside = Region(body, asked, narrow, self.known)
        new = make("loop", *args, **{**dict(node.attrs), "body": (changed := inside.made())})
        stacked = enumerate(changed.results)
        self.stacks[new] = frozenset(i for i, x in stacked if i >= carried and x in inside.holds)
        return new


# ---- who rounds what


def all_round(program: Program, asked: Numbers, known: Known) -> frozenset[Node]:
    """Nodes of the region, inputs too, that all readers round; the readers of its outputs `asked` do."""
    if (program, asked) not in known:
        nodes = order(program.results)
        plain = {x for i, x in enumerate(program.results) if i not in asked}
        for node in reversed(nodes):
            plain.update(x for a, x in enumerate(node.args) if not rounds(node, a, node not in plain, known))
        known[program, asked] = frozenset(nodes) - plain
    return known[program, asked]


def rounds(node: Node, number: int, itself: bool, known: Known) -> bool:
    """Whether `node` rounds operand `number` before all else; `itself`: whether all its readers round it."""
    if node.op == "loop":
        body = body_of(node)
        return number >= node["carried"] and body.inputs[1 + number] in all_round(body, frozenset(), known)
    return node.op == "bf16" or (carries(node) and itself)


def asked_of(program: Program, asked: Numbers, known: Known) -> dict[Node, Numbers]:
    """Loop → numbers of the results that it stacks and all readers round."""
    found: dict[Node, Numbers] = {}
    for node in all_round(program, asked, known):
        if node.op == "get" and node["index"] >= node.args[0]["carried"]:
            found[node.args[0]] = found.get(node.args[0], frozenset()) | {node["index"]}
    return found


def cut_often(program: Program, known: Known) -> dict[Node, Collection[int]]:
    """Loop → numbers of operands that it cuts, as others do, into slices that all of them round."""
    loops = [node for node in order(program.results) if node.op == "loop"]
    cuts = {loop: list(cut_and_rounded(loop, known)) for loop in loops}
    often = Counter(x for loop in loops for x in {loop.args[a] for a in cuts[loop]})
    return {loop: [a for a in cuts[loop] if often[loop.args[a]] >= LOOPS] for loop in loops}


def cut_and_rounded(loop: Node, known: Known) -> Iterator[int]:
    first = loop["carried"]
    yield from (a for a in range(first, first + loop["sliced"]) if rounds(loop, a, False, known))
