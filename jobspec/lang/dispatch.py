"""Meaning of the tree, one rule per kind of node.

Takes: rules that the other modules register with `means`. Promises: `evaluate` and `execute` find the rule of a node,
report what it refuses at the node's place, and note where in the text the nodes it makes come from. An error costs its
own statement: the names that it would have bound are poison, and the next statement is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobspec.lang import tree
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.scope import POISON
from jobspec.lang.source import Span
from jobspec.lang.values import Tensor

Rule = Callable[[Frame, Any], Any]
RULES: dict[type[tree.Node], Rule] = {}


def means(*kinds: type[tree.Node]) -> Callable[[Rule], Rule]:
    """The decorated function is the meaning of nodes of these kinds."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def evaluate(frame: Frame, node: tree.Expr | tree.Scan) -> Any:
    """The value of an expression. Raises Silenced where it has none; why is reported."""
    value = reported(frame, node)
    if isinstance(value, Tensor):
        frame.work.places.mark(value.node, node.span)
    frame.work.places.watcher.saw(frame, node, value)
    return value


def reported(frame: Frame, node: tree.Node) -> Any:
    try:
        return RULES[type(node)](frame, node)
    except Refusal as refusal:
        frame.report(refusal, caret(node), [part.span for part in operands(node)])
        raise Silenced from None


def caret(node: tree.Node) -> Span:
    """Where an error of the node itself is shown."""
    return node.op_span if isinstance(node, tree.Bin | tree.Cmp) else node.span


def operands(node: tree.Node) -> list[tree.Node]:
    """Sub-expressions, in the order in which refusals number them."""
    match node:
        case tree.Bin() | tree.Cmp() | tree.And() | tree.Or():
            return [node.left, node.right]
        case tree.Call():
            return [*node.arguments, *(k.value for k in node.keywords)]
        case tree.View() | tree.Neg() | tree.Not() | tree.Field():
            return [node.value]
    return []


def execute(frame: Frame, body: tree.Body) -> Any:
    """Runs the statements; the value of the last one, None if it gives none, POISON if it had an error."""
    result: Any = None
    for statement in body:
        try:
            result = reported(frame, statement)
        except Silenced:
            result = POISON
            for name in bound_by(statement):
                frame.scope.bind(name, POISON, statement.span)
        frame.work.places.watcher.passed(frame, statement)
    return result


def bound_by(statement: tree.Node) -> list[str]:
    """Names that a statement binds."""
    match statement:
        case tree.Let():
            return [target.name.text for target in statement.targets]
        case tree.Parameter() | tree.State() | tree.Assign():
            return [statement.name.text]
        case tree.If():
            bodies = [*statement.then, *(statement.orelse or ())]
            return [name for inner in bodies for name in bound_by(inner)]
        case tree.Repeat():
            return assigned_in(statement.body)
    return []


def assigned_in(body: tree.Body) -> list[str]:
    """Names that a body binds with `=`, itself or in blocks within, each once."""
    names: dict[str, None] = {}
    for statement in body:
        if isinstance(statement, tree.Let | tree.If | tree.Repeat):
            names.update(dict.fromkeys(bound_by(statement)))
    return list(names)
