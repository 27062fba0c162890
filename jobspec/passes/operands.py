"""Rounds the operands of contractions, for jobs that compute in bfloat16.

Takes: a program without `gradient`. Promises: both operands of every contraction, of loop bodies too, are rounded to
the nearest bfloat16; the products are exact then, and summed in f32 as ever. A value is rounded where it is made, below
the movements through which contractions read it, so that one rounding serves all of them; `simplify` takes what no turn
of a loop changes out of the loop.
"""

from __future__ import annotations

from jobspec.ir.program import Node, Program, make, rebuild
from jobspec.passes.nodewise import nodewise

#: movements that a rounding goes below: they make no tensor smaller, and what they fill in is zero
CARRIERS = frozenset({"reshape", "permute", "broadcast", "window", "flip", "pad"})
#: op → how many of its first operands are multiplied with each other
MULTIPLIES = {"contract": 2, "experts": 2, "expert_sums": 2}


def round_operands(program: Program) -> Program:
    """`program` with every contraction's operands rounded to bfloat16."""
    return nodewise(program, with_rounded)


def with_rounded(node: Node) -> Node:
    count = MULTIPLIES.get(node.op, 0)
    return rebuild(node, (*map(rounded, node.args[:count]), *node.args[count:]))


def rounded(x: Node) -> Node:
    """x in bfloat16, rounded below its movements."""
    if x.op == "bf16":
        return x
    if carries(x):
        return rebuild(x, (rounded(x.args[0]),))
    return make("bf16", x)


def carries(x: Node) -> bool:
    """Whether x moves its operand's elements, and adds none but zeros."""
    return x.op in CARRIERS and (x.op != "pad" or x["bits"] == 0)
