"""Meaning of `average SELECTORS by NAME(…)`: what is kept beside each parameter, to be measured and published.

Takes: the train section, after its updates have set the parameters. Promises: each selected parameter p has one more
slot, `p/average`, which begins as the parameter does; the rule sees the parameter as the step leaves it (p) and the
average (a), and sets a. `t` counts the steps from 1 at the start of what the statement stands in: the run or the phase;
in the first step of a phase a is the parameter as the phase found it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobspec.ir.build import broadcast
from jobspec.ir.program import Node, make
from jobspec.lang import arithmetic, tree
from jobspec.lang.calls import bind_arguments
from jobspec.lang.dispatch import execute
from jobspec.lang.frame import Activation, Cell, Frame, Located
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.registry import Held, Registry, hold
from jobspec.lang.scope import POISON, Scope
from jobspec.lang.settings import Settings
from jobspec.lang.source import Span
from jobspec.lang.things import Function
from jobspec.lang.updates import called, selected
from jobspec.lang.values import Tensor, floats, number_node

AVERAGE = "average"


@dataclass(frozen=True)
class Rule:
    """An `average` statement: the optimizer that is its rule, and the arguments behind p and a."""

    function: Function
    arguments: Mapping[str, Any]
    node: tree.Average


def average_all(frame: Frame, node: tree.Section) -> None:
    """Applies every `average` statement of the section. Raises Silenced after reports."""
    seen: dict[str, Span] = {}
    for statement in node.body:
        if isinstance(statement, tree.Average):
            try:
                one(frame, statement, seen)
            except Refusal as refusal:
                frame.report(refusal, statement.span)
    if frame.work.reporter.diagnostics:
        raise Silenced


def one(frame: Frame, node: tree.Average, seen: dict[str, Span]) -> None:
    since = frame.scope.read("phase_step") if node.of_phase else None
    rule = Rule(*called(frame, node.rule, ("p", "a"), "average"), node)
    for selector in node.selectors:
        for held in selected(frame, selector):
            if held.slot.name in seen:
                raise Located(
                    "E0319",
                    f"`{held.slot.name}` is averaged twice",
                    selector.span,
                    help="a parameter has one average: make the selectors disjoint",
                )
            seen[held.slot.name] = selector.span
            apply(frame, rule, held, since)


def apply(frame: Frame, rule: Rule, held: Held, since: Tensor | None) -> None:
    """The rule's body for one parameter."""
    kept, name = declared(frame, held, rule.node.span), held.slot.name
    after = frame.region.assigned.get(name, held.tensor)
    inside = Frame(
        frame.work,
        rule.function.module,
        Scope(frame.region),
        Activation(draw_path=(name, AVERAGE)),
        "optim",
        calls=((rule.node.rule.span, rule.function),),
    )
    count = since or frame.work.step
    assert count is not None and frame.work.step is not None
    inside.scope.bind("step", frame.work.step)
    inside.scope.bind("t", floats(arithmetic.elementwise("add", [count, 1])))
    p = shaped(after.node, held.tensor)
    a = shaped(begun(kept, held, since), held.tensor)
    inside.states["a"] = Cell(kept.slot.name, frame.region, a.axes, a.node.shape)
    bind_arguments(inside, rule.function, {"p": p, "a": a, **rule.arguments})
    if execute(inside, rule.function.definition.body) is not POISON and kept.slot.name not in frame.region.assigned:
        raise Refusal("E0308", f"`{rule.function.name}` does not assign a", help="it ends with `a := …`")


def declared(frame: Frame, held: Held, span: Span) -> Held:
    """The slot of the average."""
    slot, arrow = held.slot, (held.tensor.left, held.tensor.right)
    name = f"{slot.name}/{AVERAGE}"
    return frame.work.registry.declare(
        hold(name, "optimizer", slot.axes, slot.type.shape, arrow, held.initial, 0, span)
    )


def shaped(node: Node, like: Tensor) -> Tensor:
    """`node` with the axes of the parameter; one that stands on both sides of its arrow is primed behind it."""
    before = len(like.axes) - like.right
    axes = tuple(a + "'''" if i >= before and a in like.axes[:before] else a for i, a in enumerate(like.axes))
    return Tensor(node, axes, like.left, like.right, like.entered)


def begun(kept: Held, held: Held, since: Tensor | None) -> Node:
    """The average before the step."""
    a = kept.tensor.node
    if since is None:
        return a
    first = make("eq", since.node, number_node(0, "i32"))
    return make("select", broadcast(first, a.shape, ()), held.tensor.node, a)


# ---- in an evaluation, and for other programs ----


def averages_of(registry: Registry) -> dict[Node, Node]:
    """Parameter → its average, as inputs of a program."""
    held = registry.held
    pairs = {h: held.get(f"{h.slot.name}/{AVERAGE}") for h in registry.of_kind("parameter")}
    return {h.tensor.node: a.tensor.node for h, a in pairs.items() if a is not None}


def measured(settings: Settings) -> dict[Node, Node]:
    """`weights = average` of an evaluation: what stands for what. Raises Silenced after a report."""
    node = settings.given.get("weights")
    if node is None:
        return {}
    found = averages_of(settings.frame.work.registry)
    if found and isinstance(node, tree.Name) and node.id == AVERAGE:
        return found
    word = isinstance(node, tree.Name) and node.id == AVERAGE
    reason = "`train` keeps no averages" if word else "`weights` is `average`, or is left out"
    help = "say in `train`: `average all by optim.ema(.999)`" if word else None
    settings.frame.report(Refusal("E0325", reason, help=help), node.span)
    raise Silenced
