"""Removes `gradient` and `stop`: reverse-mode differentiation on the program.

Takes: a program with surface ops, also inside loop bodies. Promises: a program of the same inputs and outputs in
which every `gradient(loss, parameter)` is written out by the rules in gradients/ (one sweep per loss) and every
`stop` is its operand. A gradient depends on the loss alone, not on what else the program computes. Loops stay rolled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jobspec.ir.build import full, zeros
from jobspec.ir.program import Node, Program, body_of, make, order, rebuilt, replace
from jobspec.passes.gradients.residuals import exchanged
from jobspec.passes.gradients.reverse import pull


def differentiate(program: Program) -> Program:
    """`program` without surface ops; inputs and the names of outputs are the same."""
    return without_stop(without_gradients(program))


def without_gradients(program: Program) -> Program:
    """Every gradient written out, those in loop bodies first; `stop` stays, it says where a sweep ends."""
    program = with_bodies(program, without_gradients)
    while (loss := innermost_loss(program)) is not None:
        program = program.with_results(swept(program, loss))
    return program


def with_bodies(program: Program, change: Callable[[Program], Program]) -> Program:
    """`program` with `change` applied to the body of every loop."""
    if not any(node.op == "loop" for node in program.nodes()):
        return program
    image: dict[Node, Node] = {}
    for node in program.nodes():
        image[node] = with_body(node, image, change(body_of(node))) if node.op == "loop" else rebuilt(node, image)
    return program.with_results(image[node] for node in program.results)


def with_body(loop: Node, image: Mapping[Node, Node], body: Program) -> Node:
    """The loop on the images of its operands, with another body."""
    return make("loop", *(image[a] for a in loop.args), **{**dict(loop.attrs), "body": body})


def innermost_loss(program: Program) -> Node | None:
    """The loss of the first `gradient` in program order: no other one lies below it."""
    return next((node.args[0] for node in program.nodes() if node.op == "gradient"), None)


def swept(program: Program, loss: Node) -> list[Node]:
    """The results with all gradients of `loss` written out, whose parameters are no gradients themselves."""
    ready = [n for n in program.nodes() if n.op == "gradient" and n.args[0] is loss and plain(n.args[1])]
    parameters = [node.args[1] for node in ready]
    sweep = pull([(loss, full(loss.type, 1.0))], parameters)
    found = [sweep.cotangents.get(p, zeros(p.type)) for p in parameters]
    return exchanged(replace(program.results, dict(zip(ready, found, strict=True))), sweep.extended)


def plain(node: Node) -> bool:
    return not any(below.op == "gradient" for below in order([node]))


def without_stop(program: Program) -> Program:
    """Every `stop` exchanged for its operand, in loop bodies too."""
    program = with_bodies(program, without_stop)
    if not any(node.op == "stop" for node in program.nodes()):
        return program
    image: dict[Node, Node] = {}
    for node in program.nodes():
        image[node] = image[node.args[0]] if node.op == "stop" else rebuilt(node, image)
    return program.with_results(image[node] for node in program.results)
