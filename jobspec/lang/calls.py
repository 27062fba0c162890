"""Meaning of calls: functions of the language, and defs and layers of the text.

Takes: a frame and a call. Promises: axis parameters and arguments are bound by name or place; a layer's label path
grows by its label (or its own name), so that a name of a parameter is where it stands; recursion is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobspec.lang import tree
from jobspec.lang.arguments import MISSING, bind, missing
from jobspec.lang.builtins import BARE, BUILTINS, MIX, REQUIRED, Context, Row
from jobspec.lang.dispatch import evaluate, execute, means
from jobspec.lang.frame import Frame
from jobspec.lang.labels import enter
from jobspec.lang.mixing import mixture
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.scope import POISON, Scope
from jobspec.lang.things import Builtin, Function, kind_of
from jobspec.lang.values import Axes, Tensor, described

DEEPEST = 40
BRACKETS = {
    "some": "axes in a bracket",
    "one": "one axis in a bracket",
    "by": "axes in a bracket, `by` the axes of the window",
    "to": "one axis and a name for what it becomes",
}


@means(tree.Call)
def call(frame: Frame, node: tree.Call) -> Any:
    function = evaluate(frame, node.function)
    if isinstance(function, Builtin) and function.name == MIX:
        return mixture(frame, node)
    positional = [evaluate(frame, argument) for argument in node.arguments]
    named = keywords(frame, node.keywords)
    if isinstance(function, Builtin):
        need(node.label is None, "E0244", "a label names a layer's call; this function has no parameters")
        return call_builtin(frame, function, positional, named)
    if not isinstance(function, Function):
        raise Refusal("E0227", f"{kind_of(function)} cannot be called")
    need(function.definition.kind != "optim", "E0227", f"`{function.name}` is an optimizer: it stands in `update … by`")
    return call_function(frame, function, positional, named, node)


def keywords(frame: Frame, given: Sequence[tree.Keyword]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for keyword in given:
        need(keyword.name.text not in named, "E0261", f"`{keyword.name.text}` is given twice")
        named[keyword.name.text] = evaluate(frame, keyword.value)
    return named


# ---- functions of the language ----


def call_builtin(frame: Frame, function: Builtin, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    row = BUILTINS[function.name]
    check_brackets(function, row, positional)
    context = Context(frame, function.axes, function.by)
    if row.rest:
        need(not named, "E0261", f"`{function.name}` takes no named arguments")
        return row.run(context, list(positional))
    given = bind(function.name, list(row.arguments), positional, named)
    values = {name: given.get(name, default) for name, default in row.arguments.items()}
    for name, value in values.items():
        if value is REQUIRED:
            raise missing(function.name, name)
    return row.run(context, *values.values())


def check_brackets(function: Builtin, row: Row, given: Sequence[Any]) -> None:
    count, by = len(function.axes), len(function.by)
    right = {
        "none": count == 0,
        "some": count > 0,
        "one": count == 1,
        "any": True,
        "by": by > 0,
        "to": count == by == 1,
    }
    if right[row.brackets] and (by == 0 or row.brackets == ("to" if function.arrow else "by")):
        return
    if row.brackets == "none":
        raise Refusal("E0262", f"`{function.name}` takes no axes: it works element by element")
    plain = "[T]" if function.name in BARE else f"[{example_axes(function.name, given)}](…)"
    shown = {"by": "[Y X by Ky Kx](x)", "to": "[E->Q](x)"}.get(row.brackets, plain)
    raise Refusal(
        "E0262", f"`{function.name}` takes {BRACKETS.get(row.brackets, 'axes')}", help=f"as in `{function.name}{shown}`"
    )


def example_axes(name: str, given: Sequence[Any]) -> str:
    """Axes that the arguments have: all of one that is folded, the last that two share."""
    shared = [t.axes for t in given if isinstance(t, Tensor)]
    found = [axis for axis in (shared[0] if shared else ()) if all(axis in axes for axes in shared)]
    return " ".join(found if name in ("sum", "mean", "max", "min") else found[-1:]) or "T"


# ---- functions of the text ----


def call_function(
    frame: Frame, function: Function, positional: Sequence[Any], named: Mapping[str, Any], node: tree.Call
) -> Any:
    definition = function.definition
    check_depth(frame, function)
    given = bind(function.name, [p.name.text for p in definition.params], positional, named)
    inside = Frame(
        work=frame.work,
        module=function.module,
        scope=Scope(frame.region),
        activation=enter(frame, definition, node) if definition.kind == "layer" else frame.activation,
        kind=definition.kind,
        axes=axis_arguments(function),
        calls=(*frame.calls, (node.span, function)),
    )
    bind_arguments(inside, function, given)
    result = execute(inside, definition.body)
    if result is POISON:
        raise Silenced
    check_used(inside)
    if result is None:
        help = f"end its body with {value_wanted(definition)}"
        raise Refusal("E0263", f"`{function.name}` gives no value", help=help)
    return result


def value_wanted(definition: tree.Def) -> str:
    """What would be the value of a body that ends otherwise."""
    last = definition.body[-1] if definition.body else None
    names = [target.name.text for target in last.targets] if isinstance(last, tree.Let) else []
    return f"`{names[0]}` on a line of its own" if len(names) == 1 else "an expression"


def check_depth(frame: Frame, function: Function) -> None:
    if any(other.definition is function.definition for _, other in frame.calls):
        raise Refusal(
            "E0264",
            f"`{function.name}` calls itself; the language has no recursion",
            help="repeat a block with `repeat n { … }`, or a recurrence with `scan`",
        )
    need(len(frame.calls) < DEEPEST, "E0264", f"calls nest deeper than {DEEPEST}")


def help_with_axes(function: Function) -> str:
    formal = [axis.text for axis in function.definition.axes]
    more = f", {formal[-1]} being one axis or more" if function.definition.rest else ""
    return f"name the axes at the call: `{function.name}[{' '.join(formal)}](…)`{more}"


def axis_arguments(function: Function) -> dict[str, Axes]:
    """Axis parameter → the axes it stands for. The last one may be declared to take several (`N..`)."""
    formal = [axis.text for axis in function.definition.axes]
    actual = list(function.axes or ())
    if function.definition.rest and len(actual) >= len(formal):
        actual = [*actual[: len(formal) - 1], tuple(a for axes in actual[len(formal) - 1 :] for a in axes)]
    if len(actual) != len(formal):
        dots = ".." if function.definition.rest else ""
        wants = f"[{' '.join(formal)}{dots}]" if formal else "no axes"
        given = f"[{' '.join(a for axes in actual for a in axes)}]" if actual else "none"
        raise Refusal(
            "E0262",
            f"`{function.name}` takes {wants}, {given} are given",
            help=help_with_axes(function) if formal else None,
        )
    for axes in actual:
        twice = next((a for a in axes if axes.count(a) > 1), None)
        need(twice is None, "E0204", f"{twice} is given twice for one axis parameter")
    return dict(zip(formal, actual, strict=True))


def bind_arguments(inside: Frame, function: Function, given: Mapping[str, Any]) -> None:
    """Puts the arguments into the function's scope; defaults are evaluated there, earlier parameters in reach."""
    for parameter in function.definition.params:
        name = parameter.name.text
        value = given.get(name, MISSING)
        if value is MISSING:
            if parameter.default is None:
                raise missing(function.name, name)
            value = evaluate(inside, parameter.default)
        if parameter.type is not None:
            check_type(inside, function.name, parameter, value)
        inside.scope.bind(name, value, parameter.span)
        inside.work.places.watcher.saw(inside, parameter, value)


def check_type(inside: Frame, function: str, parameter: tree.Param, value: Any) -> None:
    assert parameter.type is not None
    wanted = inside.resolve_all([*parameter.type.stacked, *parameter.type.left, *(parameter.type.right or ())])
    if not isinstance(value, Tensor) or set(value.axes) != set(wanted):
        shown = described(value) if isinstance(value, Tensor | int | float) else kind_of(value)
        raise Refusal(
            "E0213", f"`{function}` takes `{parameter.name.text}` with axes {' '.join(wanted)}; it is given: {shown}"
        )


def check_used(inside: Frame) -> None:
    """A parameter that its layer declares and never mentions is an error, once the layer is at work in training."""
    if inside.kind != "layer" or not inside.work.training:
        return
    for name, span in inside.activation.declared.items():
        bound = inside.scope.names.get(name)
        if bound is not None and bound.value is not POISON and not bound.used:
            refusal = Refusal("E0251", f"`{name}` is declared and never used", help="use it, or take it out")
            inside.report(refusal, span)
