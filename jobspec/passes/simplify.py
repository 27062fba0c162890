"""Exact rewrites, to a fixed point.

Takes: a program after `differentiate`. Promises: the same inputs and outputs, every output bit for bit the same on
every input (an index is still refused, where an output reads what it picks); float arithmetic is never reordered.
Rules are named `rule_*` and live in rewrites/, one table per concern.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobspec.ir.ops import OPS
from jobspec.ir.origin import inherit
from jobspec.ir.program import Node, Program, body_of, make, rebuilt
from jobspec.passes.rewrites import arithmetic, choice, folding, movement
from jobspec.passes.rewrites.draft import drafted, finished
from jobspec.passes.rewrites.loops import LOOP_RULES
from jobspec.passes.rewrites.patterns import Rule

TABLES: tuple[Mapping[str, tuple[Rule, ...]], ...] = (folding.RULES, arithmetic.RULES, choice.RULES, movement.RULES)
RULES: dict[str, tuple[Rule, ...]] = {op: tuple(rule for t in TABLES for rule in t.get(op, ())) for op in OPS}
#: rounds over a program before it is taken as it is; each round only ever makes it smaller or flatter
MOST_ROUNDS = 64


@dataclass
class Known:
    """What was found before: what programs became, themselves among them, and nodes that no rule changes."""

    programs: dict[Program, Program] = field(default_factory=dict)
    settled: set[Node] = field(default_factory=set)


def simplify(program: Program) -> Program:
    """`program` in a simpler form with the same bits."""
    return simpler(program, Known())


def simpler(program: Program, known: Known) -> Program:
    """Bodies of loops in loops are met in every round of every loop around them: each is done once."""
    if program not in known.programs:
        known.programs[program] = rounds(program, known)
        known.programs[known.programs[program]] = known.programs[program]
    return known.programs[program]


def rounds(program: Program, known: Known) -> Program:
    for _ in range(MOST_ROUNDS):
        new = trimmed(rewritten(program, known))
        if new.results == program.results:
            break
        program = new
    return program


def rewritten(program: Program, known: Known) -> Program:
    """`program` after the rules of single nodes; bodies of loops are simplified on their own."""
    image: dict[Node, Node] = {}
    met: dict[tuple[str, frozenset[Node]], Node] = {}
    for node in program.nodes():
        image[node] = rule_commuted(settled(with_body(rebuilt(node, image), known), known), met)
        inherit(image[node], node)
    return program.with_results(image[node] for node in program.results)


def with_body(node: Node, known: Known) -> Node:
    if node.op != "loop":
        return node
    return make("loop", *node.args, **{**dict(node.attrs), "body": simpler(body_of(node), known)})


def settled(node: Node, known: Known) -> Node:
    """`node` after all rules that apply at its top."""
    while node not in known.settled:
        simpler = first_rewrite(node)
        if simpler is None:
            known.settled.add(node)
        else:
            node = simpler
    return node


def first_rewrite(node: Node) -> Node | None:
    for rule in RULES[node.op]:
        new = rule(node)
        if new is not None:
            return new
    return None


def rule_commuted(node: Node, met: dict[tuple[str, frozenset[Node]], Node]) -> Node:
    """Of a + b and b + a, the one met first."""
    if not OPS[node.op].has("commutative"):
        return node
    return met.setdefault((node.op, frozenset(node.args)), node)


def trimmed(program: Program) -> Program:
    """`program` after the rules of loops, which have to know what of a loop is read."""
    nodes = program.nodes()
    read: dict[Node, list[int]] = {}
    for node in nodes:
        if node.op == "get":
            read.setdefault(node.args[0], []).append(node["index"])
    image: dict[Node, Node] = {}
    results: dict[Node, dict[int, Node]] = {}
    for node in nodes:
        if node.op == "get":
            image[node] = results[node.args[0]][node["index"]]
            continue
        image[node] = rebuilt(node, image)
        if node.op == "loop":
            results[node] = reduced(image[node], read[node])
    return program.with_results(image[node] for node in program.results)


def reduced(loop: Node, read: Iterable[int]) -> dict[int, Node]:
    """For each result of `loop` that is read, the node for it."""
    draft = drafted(loop, list(read))
    for rule in LOOP_RULES:
        draft = rule(draft)
    return finished(draft)
