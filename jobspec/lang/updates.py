"""Meaning of `update … by …`, `freeze …` and `clip`: what happens to each parameter in a step.

Takes: the train section after its values are known. Promises: every parameter is updated exactly once or frozen; a
selector that matches nothing is an error; gradients are scaled by one global norm (sums of squares per tensor, added in
the order of the parameters); an optimizer is applied to each parameter with states of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from jobspec.ir.program import Node, make
from jobspec.lang import arithmetic, tree
from jobspec.lang.arguments import bind
from jobspec.lang.calls import bind_arguments, keywords
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.dispatch import evaluate, execute
from jobspec.lang.frame import Activation, Cell, Frame, Located
from jobspec.lang.refusal import Refusal, Silenced
from jobspec.lang.registry import Held
from jobspec.lang.scope import POISON, Scope
from jobspec.lang.source import Span
from jobspec.lang.things import Function, kind_of
from jobspec.lang.values import Axes, Tensor, floats, number_node

GROUPS = ("all", "matrices", "vectors")


@dataclass(frozen=True)
class Rule:
    """An `update` statement: the optimizer and its evaluated arguments."""

    function: Function
    arguments: Mapping[str, Any]
    objective: Tensor
    node: tree.Update


@dataclass(frozen=True)
class Change:
    parameter: Held
    rule: Rule


def plan(frame: Frame, node: tree.Section, loss: Tensor) -> list[Change]:
    """Who is updated by what, in the order of the parameters. Raises Silenced after reports."""
    chosen: dict[str, tuple[Rule | None, Span]] = {}
    bad = False
    for statement in node.body:
        if isinstance(statement, tree.Update | tree.Freeze):
            try:
                rule = rule_of(frame, statement, loss) if isinstance(statement, tree.Update) else None
                choose(frame, statement, rule, chosen)
            except (Refusal, Silenced) as error:
                bad = True
                if isinstance(error, Refusal):
                    called = statement.optimizer if isinstance(statement, tree.Update) else statement
                    frame.report(error, called.span if error.code == "E0261" else statement.span)
    if bad:
        raise Silenced
    check_all_chosen(frame, node, chosen)
    rules = ((h, chosen[h.slot.name][0]) for h in frame.work.registry.of_kind("parameter"))
    return [Change(held, rule) for held, rule in rules if rule is not None]


def rule_of(frame: Frame, node: tree.Update, loss: Tensor) -> Rule:
    function, given = called(frame, node.optimizer, ("p", "g"), "update")
    objective = objective_of(frame, node.objective) if node.objective else loss
    return Rule(function, given, objective, node)


def called(frame: Frame, call: tree.Expr, first: tuple[str, str], word: str) -> tuple[Function, Mapping[str, Any]]:
    """The optimizer behind `by`, whose first parameters are `first`, and its other arguments, evaluated."""
    function = evaluate(frame, call.function if isinstance(call, tree.Call) else call)
    if not isinstance(function, Function) or function.definition.kind != "optim":
        example = "update all by sgd(lr=.1)" if word == "update" else "average all by ema(.999)"
        raise Located(
            "E0307",
            f"`{word}` takes an `optim`, this is {kind_of(function)}",
            call.span,
            help=f"as in `{example}`",
        )
    names = [p.name.text for p in function.definition.params]
    if tuple(names[:2]) != first:
        raise Located(
            "E0307",
            f"the first parameters of `{function.name}` are not {' and '.join(first)}, which `{word}` gives it",
            call.span,
        )
    positional = [evaluate(frame, a) for a in call.arguments] if isinstance(call, tree.Call) else []
    named = keywords(frame, call.keywords) if isinstance(call, tree.Call) else {}
    return function, bind(function.name, names[2:], positional, named)


def objective_of(frame: Frame, name: tree.Ident) -> Tensor:
    found = frame.scope.find(name.text)
    value = frame.scope.read(name.text) if found else None
    if not isinstance(value, Tensor) or value.axes or value.dtype != "f32":
        raise Located("E0315", f"`{name.text}` is no float32 number of this section", name.span)
    return value


# ---- selectors ----


def choose(
    frame: Frame, node: tree.Update | tree.Freeze, rule: Rule | None, chosen: dict[str, tuple[Rule | None, Span]]
) -> None:
    for selector in node.selectors:
        for held in selected(frame, selector):
            name = held.slot.name
            if name in chosen:
                first = chosen[name][1]
                raise Located(
                    "E0302",
                    f"`{name}` is updated twice",
                    selector.span,
                    label=f"here too; first at line {first.line}",
                    help="every parameter is updated exactly once: make the selectors disjoint",
                )
            chosen[name] = (rule, selector.span)


def selected(frame: Frame, selector: tree.Ident | tree.Str) -> list[Held]:
    parameters = frame.work.registry.of_kind("parameter")
    found = [held for held in parameters if matches(held, selector)]
    if not found and frame.work.reporter.diagnostics:
        raise Silenced
    if not found:
        names = [held.slot.name for held in parameters]
        word = selector.value if isinstance(selector, tree.Str) else selector.text
        raise Located(
            "E0304",
            f"`{word}` selects no parameter",
            selector.span,
            help=did_you_mean(word, (*GROUPS, *names)) or f"there are: {', '.join(names)}",
        )
    return found


def matches(held: Held, selector: tree.Ident | tree.Str) -> bool:
    """all, matrices, vectors, a name, or a glob over names."""
    if isinstance(selector, tree.Str):
        return fnmatchcase(held.slot.name, selector.value)
    if selector.text in GROUPS:
        return selector.text == "all" or held.is_matrix == (selector.text == "matrices")
    return held.slot.name == selector.text


def check_all_chosen(frame: Frame, node: tree.Section, chosen: Mapping[str, Any]) -> None:
    left = [h for h in frame.work.registry.of_kind("parameter") if h.slot.name not in chosen]
    for held in left:
        name = held.slot.name
        refusal = Refusal("E0303", f"nothing updates `{name}`", help=f'update it, or say `freeze "{name}"`')
        frame.report(refusal, held.span if frame.is_own(held.span) else node.span)
    if left:
        raise Silenced


# ---- gradients ----


def clipped(changes: list[Change], clip: float | None) -> tuple[Node | None, list[Tensor]]:
    """Global norm (None without `clip`) and the gradients, scaled by clip/norm where norm > clip."""
    gradients = [gradient(c) for c in changes]
    if clip is None or not gradients:
        return None, gradients
    norm = global_norm([g.node for g in gradients])
    most = number_node(clip, "f32")
    scale = make("select", make("lt", most, norm), make("div", most, norm), number_node(1.0, "f32"))
    return norm, [scaled(g, scale) for g in gradients]


def scaled(g: Tensor, factor: Node) -> Tensor:
    """Every element times a scalar; the axes are not looked at, as a map from D to D has one twice."""
    wide = make("broadcast", factor, shape=g.node.shape, axes=()) if g.node.shape else factor
    return replace(g, node=make("mul", g.node, wide))


def gradient(change: Change) -> Tensor:
    p = change.parameter.tensor
    return Tensor(make("gradient", change.rule.objective.node, p.node), p.axes, p.left, p.right, p.entered)


def global_norm(gradients: list[Node]) -> Node:
    """sqrt of the sum of all squares: per tensor, then tensor after tensor."""
    total: Node | None = None
    for g in gradients:
        squares = make("mul", g, g)
        part = make("sum", squares, axes=tuple(range(len(g.shape)))) if g.shape else squares
        total = part if total is None else make("add", total, part)
    assert total is not None
    return make("sqrt", total)


# ---- optimizers ----


def apply_all(frame: Frame, changes: list[Change], gradients: list[Tensor]) -> Node | None:
    """Runs each parameter's optimizer; the learning rate of the first one, if it has one, for the reports."""
    rate: Node | None = None
    for change, g in zip(changes, gradients, strict=True):
        try:
            inside = apply(frame, change, g)
        except Refusal as refusal:
            frame.report(refusal, change.rule.node.optimizer.span)
        except Silenced:
            continue
        else:
            rate = rate if rate is not None else learning_rate(inside)
    if frame.work.reporter.diagnostics:
        raise Silenced
    return rate


def learning_rate(inside: Frame) -> Node | None:
    bound = inside.scope.names.get("lr")
    value = bound.value if bound else None
    if isinstance(value, Tensor) and not value.axes:
        return floats(value).node
    return number_node(value, "f32") if isinstance(value, int | float) else None


def apply(frame: Frame, change: Change, g: Tensor) -> Frame:
    """The optimizer's body for one parameter."""
    rule, held = change.rule, change.parameter
    p, axes, stacked = pattern(rule, held)
    g = Tensor(g.node, p.axes, p.left, p.right, p.entered)
    inside = Frame(
        frame.work,
        rule.function.module,
        Scope(frame.region),
        Activation(draw_path=(held.slot.name, "update")),
        "optim",
        axes,
        calls=((rule.node.optimizer.span, rule.function),),
    )
    inside.states["p"] = Cell(held.slot.name, frame.region, p.axes, p.node.shape, stacked)
    bind_step(inside)
    bind_arguments(inside, untyped(rule.function), {"p": p, "g": g, **rule.arguments})
    result = execute(inside, rule.function.definition.body)
    if result is not POISON and held.slot.name not in frame.region.assigned:
        raise Refusal("E0308", f"`{rule.function.name}` does not assign p", help="it ends with `p := …`")
    for cell in inside.states.values():
        if cell.slot in frame.region.assigned:
            frame.work.places.mark(frame.region.assigned[cell.slot].node, rule.node.span)
    return inside


def bind_step(inside: Frame) -> None:
    """`t`, the step's number from 1, as float32; `step`, from 0."""
    step = inside.work.step
    assert step is not None
    inside.scope.bind("step", step)
    inside.scope.bind("t", floats(arithmetic.elementwise("add", [step, 1])))


def untyped(function: Function) -> Function:
    """The optimizer with the type of p taken off: `pattern` has read it."""
    d = function.definition
    params = tuple(tree.Param(p.span, p.name, None if p.name.text == "p" else p.type, p.default) for p in d.params)
    return Function(tree.Def(d.span, d.kind, d.name, d.axes, d.rest, params, d.body), function.module)


def pattern(rule: Rule, held: Held) -> tuple[Tensor, dict[str, Axes], Axes]:
    """p, what its pattern names, and the axes in front that it does not name: those of a `repeat` or before a `|`.

    `p: I -> O` calls the axes before the arrow I, those behind it O; `p: A` calls all axes A. An axis on both sides
    of the parameter's arrow gets three primes on the right while the optimizer runs, so that it may say I' and I''.
    """
    p = held.tensor
    doubled = tuple(a + "'''" if i >= len(p.axes) - p.right and a in p.axes[:i] else a for i, a in enumerate(p.axes))
    p = Tensor(p.node, doubled, p.left, p.right, p.entered)
    type_ = rule.function.definition.params[0].type
    if type_ is None:
        return p, {}, ()
    check_pattern(type_)
    if type_.right is None:
        return p, {type_.left[0].text: p.axes[held.stacks :]}, p.axes[: held.stacks]
    if not p.is_map:
        raise Located(
            "E0309",
            f"`{rule.function.name}` updates linear maps; `{held.slot.name}` has no arrow",
            rule.node.span,
            help="select `matrices`",
        )
    return p, {type_.left[0].text: p.from_axes, type_.right[0].text: p.to_axes}, p.stacked


def check_pattern(type_: tree.AxisType) -> None:
    """One name for all axes, or one on each side of an arrow."""
    if type_.stacked or len(type_.left) != 1 or (type_.right is not None and len(type_.right) != 1):
        raise Located("E0309", "the pattern of p is `p: I -> O`, or `p: A` for all its axes", type_.span)
