"""A program with every loop written out turn by turn, for comparison.

Takes: a program. Promises: the same values, by the same operations in the same order.
"""

from __future__ import annotations

from jobspec.ir.build import full, reshape, slice_axis
from jobspec.ir.program import Node, Program, make, order, rebuild, replace
from jobspec.ir.regions import Loop, parts
from jobspec.ir.types import Type


def unrolled(program: Program) -> Program:
    image: dict[Node, Node] = {}
    results: dict[Node, list[Node]] = {}
    for node in order(program.results):
        args = tuple(image.get(a, a) for a in node.args)
        if node.op == "loop":
            results[node] = written_out(parts(node), args)
        elif node.op == "get":
            image[node] = results[node.args[0]][node["index"]]
        else:
            image[node] = rebuild(node, args)
    return Program(program.inputs, tuple((name, image[node]) for name, node in program.outputs))


def written_out(loop: Loop, operands: tuple[Node, ...]) -> list[Node]:
    """The results of a loop without it."""
    names = tuple((str(i), node) for i, node in enumerate(loop.results))
    body = unrolled(Program((loop.turn, *loop.inputs), names))
    state = list(operands[: len(loop.state)])
    rest = operands[len(state) :]
    stacks: dict[int, list[Node]] = {}
    for turn in reversed(range(loop.count)) if loop.reverse else range(loop.count):
        given = dict(zip(loop.state, state, strict=True))
        given |= {x: at(whole, turn) for x, whole in zip(loop.cuts, rest, strict=False)}
        given |= dict(zip(loop.common, rest[len(loop.cuts) :], strict=True))
        given[loop.turn] = full(Type("i32"), turn)
        values = replace(body.results, given)
        state, stacks[turn] = values[: len(state)], values[len(state) :]
    columns = zip(*(stacks[turn] for turn in range(loop.count)), strict=True)
    return [*state, *(stacked(column) for column in columns)]


def at(whole: Node, turn: int) -> Node:
    return reshape(slice_axis(whole, 0, turn, turn + 1), whole.shape[1:])


def stacked(values: tuple[Node, ...]) -> Node:
    return make("concat", *(reshape(x, (1, *x.shape)) for x in values), axis=0)
