"""Removes `gradient` and `stop`: reverse-mode differentiation on the program.

Takes: a program with surface ops, also inside loop bodies. Promises: a program of the same inputs and outputs in
which every `gradient(loss, parameter)` is written out by the rules in gradients/ (one sweep per loss) and every
`stop` is its operand. A gradient depends on the loss alone, not on what else the program computes. Loops stay rolled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobspec.ir.build import full, zeros
from jobspec.ir.program import Node, Program, body_of, make, order, rebuild, replace
from jobspec.passes.gradients.residuals import exchanged
from jobspec.passes.gradients.reverse import pull


def differentiate(program: Program) -> Program:
    """`program` without surface ops; inputs and the names of outputs are the same."""
    return without_stop(without_gradients(program))


def without_gradients(program: Program) -> Program:
    """Every gradient written out, those in loop bodies first; `stop` stays, it says where a sweep ends."""
    results = with_bodies(program.results, without_gradients)
    while (loss := innermost_loss(results)) is not None:
        results = swept(results, loss)
    return with_results(program, results)


def with_bodies(roots: Iterable[Node], change: Callable[[Program], Program]) -> list[Node]:
    """`roots` with `change` applied to the body of every loop."""
    image: dict[Node, Node] = {}
    wanted = list(roots)
    for node in order(wanted):
        args = tuple(image[a] for a in node.args)
        if node.op == "loop":
            image[node] = make("loop", *args, **{**dict(node.attrs), "body": change(body_of(node))})
        else:
            image[node] = rebuild(node, args)
    return [image[node] for node in wanted]


def with_results(program: Program, results: Iterable[Node]) -> Program:
    names = (name for name, _ in program.outputs)
    return Program(program.inputs, tuple(zip(names, results, strict=True)))


def innermost_loss(roots: Iterable[Node]) -> Node | None:
    """The loss of the first `gradient` in program order: no other one lies below it."""
    return next((node.args[0] for node in order(roots) if node.op == "gradient"), None)


def swept(roots: list[Node], loss: Node) -> list[Node]:
    """`roots` with all gradients of `loss` written out, whose parameters are no gradients themselves."""
    ready = [n for n in order(roots) if n.op == "gradient" and n.args[0] is loss and plain(n.args[1])]
    parameters = [node.args[1] for node in ready]
    sweep = pull([(loss, full(loss.type, 1.0))], parameters)
    found = [sweep.cotangents.get(p, zeros(p.type)) for p in parameters]
    return exchanged(replace(roots, dict(zip(ready, found, strict=True))), sweep.extended)


def plain(node: Node) -> bool:
    return not any(below.op == "gradient" for below in order([node]))


def without_stop(program: Program) -> Program:
    """Every `stop` exchanged for its operand, in loop bodies too."""
    image: dict[Node, Node] = {}
    roots = with_bodies(program.results, without_stop)
    for node in order(roots):
        image[node] = image[node.args[0]] if node.op == "stop" else rebuild(node, tuple(image[a] for a in node.args))
    return with_results(program, [image[node] for node in roots])
